import type { TFunction } from "i18next";

import type { RunStory } from "../../api/events";
import { formatHeadline, headline } from "../../api/models";
import type { DataSummary, Run } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { stepName } from "../build/runs";

/** What a step shows of the build that goes on, or of the last one. `share`: how far it is; null for unknown, undefined where nothing goes on. */
export interface NodeFact {
  text: string;
  share?: number | null;
}

/** The steps of a run, by their first words, and the step of the canvas that they belong to. Others belong to the one before. */
const STEPS: readonly (readonly [RegExp, string])[] = [
  [/^read /, "data"],
  [/^(check|look for|tell) /, "check"],
  [/^choose /, "split"],
  [/^ask .* (for|rows)/, "teacher"],
  [/^(train|cross-validate|blend) /, "student"],
  [/^(pack and time|export|see how small|time) /, "compress"],
  [/^(measure|compare|write the report|pack the model)/, "gate"],
];

/** The step of the canvas at which a step of a run is at work. */
export function placeOfStep(name: string, before = "data"): string {
  return STEPS.find(([words]) => words.test(name))?.[1] ?? before;
}

/** The facts of each step of the canvas: the rows at hand, and what the run tells. */
export function nodeFacts(t: TFunction, data: DataSummary | undefined, run: Run | undefined, story: RunStory, going: boolean): Map<string, NodeFact> {
  const facts = new Map<string, NodeFact>();
  let place = "data";
  for (const step of run ? story.steps : []) {
    place = placeOfStep(step.name, place);
    const open = going && step.ended === null;
    const share = step.total && step.done > 0 ? Math.min(1, step.done / step.total) : null;
    const words = step.name === "read the data" && !open ? step.note : "";
    if (open) facts.set(place, { text: stepName(t, step.name), share });
    else if (words) facts.set("split", { text: told(words) });
    else if (facts.get(place)?.share !== undefined) facts.delete(place);
  }
  if (data && facts.get("data")?.share === undefined) facts.set("data", { text: data.rows === 0 ? t("canvas.dropHere") : t("canvas.rows", { count: data.rows, rows: formatNumber(data.rows) }) });
  const reached = run?.state === "done" ? headline(run) : undefined;
  if (run && reached?.value !== undefined) facts.set("gate", { text: t("canvas.reached", { metric: t(`metric.${reached.name}`, { defaultValue: reached.name }), value: formatHeadline(run, reached.value) }) });
  return facts;
}
