import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";

import { formatDuration, formatNumber, formatShare } from "../../i18n";
import type { Report, ReportView } from "./queries";

/** A metric's value: a share as a percentage, or a number with its unit. Metrics named as the report names them are shares from 0 to 1. */
export function formatMetric(report: Pick<Report, "units">, name: string, value: number, digits = 1): string {
  const unit = report.units?.[name];
  if (unit !== undefined) return `${formatNumber(value, { maximumSignificantDigits: 3 })} ${unit}`;
  return isGrade(name) ? formatNumber(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 }) : formatShare(value, digits);
}

/** Whether a metric says how near texts come to the wanted ones, which is no share of anything. */
export function isGrade(name: string): boolean {
  return /^(rouge|chrf)/.test(name);
}

/** Whether the model suggests items, of which one is right. */
export function suggests({ report }: ReportView): boolean {
  return report.headline === "hit_rate_10";
}

/** Milliseconds, with two digits that matter. */
export function formatMilliseconds(value: number): string {
  return value < 1_000 ? `${formatNumber(value, { maximumSignificantDigits: 2 })} ms` : `${formatNumber(value / 1_000, { maximumSignificantDigits: 2 })} s`;
}

/** Whether a model that writes gives every text the same score, which then says nothing. */
export function hasOneScore({ report }: ReportView): boolean {
  return report.graded && report.risk_coverage?.points.length === 1;
}

/** Megabytes, with three digits that matter. */
export function formatMegabytes(value: number): string {
  return `${formatNumber(value, { maximumSignificantDigits: 3 })} MB`;
}

/** What a mistake's answer or its gold says, "city: nothing; price: 5", with the page's own word for nothing. */
export function valuesTold(t: TFunction, text: string): string {
  return (text || "nothing").replace(/(^|: )nothing(?=;|$)/g, (_, before: string) => before + t("report.nothing"));
}

/** A training time; under a second in words of its own. */
export function formatSeconds(value: number): string {
  return value < 1 ? `${formatNumber(value, { maximumSignificantDigits: 2 })} s` : formatDuration(value);
}

/** A difference of shares in points, with its sign. */
export function formatPoints(value: number): string {
  return formatNumber(100 * value, { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

/** The name of a metric in the chosen language, or as the server displays it. */
export function useMetricName(view: ReportView): (name: string) => string {
  const { t } = useTranslation();
  return (name) => t(`metric.${name === "coverage" && suggests(view) ? "of_catalogue" : name}`, { defaultValue: view.names[name] ?? name });
}

/** The field's own term for a metric, to stand in its hint: "Macro F1". Undefined where the name says it. */
export function metricTerm(t: TFunction, name: string): string | undefined {
  return t(`metric.term.${name}`, { defaultValue: "" }) || undefined;
}

/** The strongest baseline in words. */
export function useBaselineName(view: ReportView): string {
  const { t } = useTranslation();
  const { report, baseline_name } = view;
  const name = baseline(report)?.name ?? "";
  return t(`report.baseline.${name}`, { defaultValue: baseline_name ?? name });
}

/** The baseline that the model is compared with: the better of the simple model and the unchanged input. */
export function baseline(report: Report): NonNullable<Report["baseline"]> | null {
  const told = [report.baseline, report.unchanged].filter((found) => found !== null && found !== undefined);
  const value = (found: (typeof told)[number]) => found.metrics?.[report.headline]?.value ?? -1;
  return told.reduce<(typeof told)[number] | null>((best, found) => (best === null || value(found) > value(best) ? found : best), null);
}

/** The messages of a customer in a row's text: a conversation as JSON, or a single message. */
export function messagesOf(text: string): readonly string[] {
  if (!text.startsWith("[")) return [text];
  try {
    const told = JSON.parse(text) as { role?: unknown; content?: unknown }[];
    const said = told.filter((one) => one.role === "user").map((one) => String(one.content));
    return said.length > 0 ? said : [text];
  } catch {
    return [text]; // a message that begins with a bracket
  }
}

/** An object in a report's words; empty where they are none. */
export function parsed(text: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Record<string, unknown>) : {};
  } catch {
    return {}; // cut, or no JSON
  }
}
