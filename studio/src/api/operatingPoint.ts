import { useQuery } from "@tanstack/react-query";

import { formatNumber, formatShare } from "../i18n";
import { api, body } from "./client";
import type { components } from "./schema";

/** From which score a model answers by itself, what share that is, and how many of these answers are wrong: the same on every page. */
export type OperatingPoint = components["schemas"]["OperatingPoint"];

/** The operating point of a build; null where nothing was measured. Asked again when the project's settings change. */
export function useOperatingPoint(project: string, model: string) {
  return useQuery({
    enabled: model !== "",
    queryKey: ["projects", project, "operating-point", model],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/models/{model}/operating-point", { params: { path: { project, model } } })),
  });
}

/** Its figures, as every page writes them. */
export function pointFigures(point: OperatingPoint): Readonly<Record<"score" | "share" | "passed" | "error" | "low" | "high" | "rows" | "grade", string>> {
  return {
    score: point.threshold === null ? "" : formatNumber(point.threshold, { maximumSignificantDigits: 3 }),
    share: formatShare(point.share),
    passed: formatShare(1 - point.share),
    error: formatShare(point.error, 1),
    low: formatShare(point.error_low, 1),
    high: formatShare(point.error_high, 1),
    rows: formatNumber(point.rows),
    grade: formatNumber(1 - point.error, { maximumFractionDigits: 2 }),
  };
}
