import type { Run } from "../../api/queries";
import type { BuildSettings } from "./queries";
import { isBrought, madeFrom, summaryOf } from "./runs";

/** Seconds that the newest finished build of a preset took, with nothing changed beside it; null where there is none, or where it was stopped and resumed. */
export function lastTime(runs: readonly Run[], preset: string): number | null {
  const done = runs.filter((run) => run.kind === "build" && run.state === "done" && !isBrought(run) && run.request["preset"] === preset && Object.keys(run.request["own"] ?? {}).length === 0);
  const newest = done.sort((one, other) => other.queued - one.queued)[0];
  const seconds = newest ? madeFrom(newest).seconds : null;
  return newest && seconds !== null && seconds >= (summaryOf(newest).training?.seconds ?? 0) ? seconds : null;
}

/** A preset's settings with a person's own over them. Who chooses a kind of model, or how it trains, gets no other kind by the preset. */
export function withPreset(preset: BuildSettings, own: BuildSettings): BuildSettings {
  const names = [...new Set([...Object.keys(preset), ...Object.keys(own)])];
  const merged = Object.fromEntries(names.map((name) => [name, { ...preset[name], ...own[name] }]));
  if (own["train"] && own["student"]?.["kind"] === undefined && merged["student"]) {
    merged["student"] = Object.fromEntries(Object.entries(merged["student"]).filter(([name]) => name !== "kind"));
  }
  return merged;
}
