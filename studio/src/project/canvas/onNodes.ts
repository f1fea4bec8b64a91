import type { TFunction } from "i18next";

import type { RunStory } from "../../api/events";
import { formatHeadline, headline } from "../../api/models";
import { type OperatingPoint, pointFigures } from "../../api/operatingPoint";
import type { DataSummary, Run } from "../../api/queries";
import { formatMoney, formatNumber, formatShare } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { stepName } from "../build/runs";
import type { DeskFigures } from "../conversations/queries";
import type { Figures, Serving } from "../run/queries";

/** What a step shows of the build that goes on, of the last one, or of the model at work. */
export interface NodeFact {
  text: string;
  /** A second line, in place of the settings that were given. */
  more?: string;
  /** How far it is; null for unknown, undefined where nothing goes on. */
  share?: number | null;
  tone?: "good" | "bad";
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

/** What is known of the model at work. */
export interface AtWork {
  serving: Serving | undefined;
  /** Its server runs, or begins to. */
  on: boolean;
  /** There is a model, or a large one behind: something to start. */
  startable: boolean;
  /** Of today. */
  figures: Figures | null;
  desk: DeskFigures | undefined;
  point: OperatingPoint | null;
  /** Which answers it gives itself, as it is drawn. */
  mode: Serving["settings"]["local"];
  /** A large model is drawn behind it. */
  behind: boolean;
}

/** The facts of the steps at work: state and address, what is answered here and how much of that is wrong, and what came today. */
export function workFacts(t: TFunction, { serving, on, startable, figures, desk, point, mode, behind }: AtWork): Map<string, NodeFact> {
  const facts = new Map<string, NodeFact>();
  if (!serving) return facts;
  const running = serving.state === "running";
  const address = serving.url.replace(/^https?:\/\//, "");
  const today = figures && figures.requests > 0 ? figures : null;
  const here = today && { here: formatNumber(today.local), share: formatShare(today.local / today.requests), requests: formatNumber(today.requests), count: today.requests };
  if (running) facts.set("serve", { text: here ? t("canvas.work.requests", here) : t("canvas.work.noRequests"), more: address, tone: "good" });
  else if (on) facts.set("serve", { text: t(`canvas.work.${serving.state}`), more: address, ...(serving.state === "starting" ? { share: null } : { tone: "bad" as const }) });
  else facts.set("serve", { text: t(serving.state === "failed" ? "canvas.work.failed" : startable ? "canvas.work.stopped" : "canvas.work.noModel"), ...(serving.state === "failed" ? { tone: "bad" as const } : {}) });
  facts.set("page", { text: t(!running ? "canvas.work.withApi" : serving.keyed ? "canvas.work.keyed" : "canvas.work.open") });
  facts.set("desk", { text: running && desk ? t("canvas.work.messages", { count: desk.messages, messages: formatNumber(desk.messages), talks: formatNumber(desk.conversations) }) : t(running ? "canvas.work.open" : "canvas.work.withApi") });
  const barred = behind && (mode === "never" || (mode === "certified" && point?.chosen_by !== "certificate"));
  const measured = barred ? t("canvas.work.nothingHere") : point ? t(behind ? "canvas.work.point" : "canvas.work.sure", pointFigures(point)) : t("canvas.work.unmeasured");
  facts.set("unsure", { text: measured, ...(running && here ? { more: t("canvas.work.here", here) } : {}) });
  if (running && today) {
    facts.set("capture", { text: t("canvas.work.kept", { count: today.requests, requests: formatNumber(today.requests) }) });
    if (serving.settings.fallback) facts.set("route", { text: t("canvas.work.passed", { count: today.passed_on, passed: formatNumber(today.passed_on), cost: formatMoney(today.cost_usd) }) });
  }
  return facts;
}
