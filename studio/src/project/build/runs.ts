import type { TFunction } from "i18next";

import type { Run } from "../../api/queries";
import { told } from "../../i18n/serverTexts";

interface Summary {
  metrics?: Record<string, { value: number; low: number; high: number; n?: number }>;
  headline?: string;
  graded?: boolean;
  units?: Record<string, string>;
  student?: { kind?: string; method?: string; base?: string | null; chosen_because?: string };
  speed?: { latency_ms_p50?: number | null; texts_per_second?: number | null; tokens_per_second?: number | null; size_mb?: number | null; peak_memory_mb?: number | null };
  training?: { seconds?: number | null; energy_wh?: number | null };
}

const KINDS = /\b(kernel-tagger|encoder|static|kernel|linear|tagger|lexical|decoder|prompted|finder|ease|keywords|catalogue|popular|desk)\b/g;

/** A step of a run in words, with each kind of model by the name that the report gives it: train “Word counter”. */
export function stepName(t: TFunction, step: string): string {
  return told(step).replace(KINDS, (kind: string) => t("build.kind", { name: t(`student.${kind}`) }));
}

/** The figures of a finished build that its run tells. */
export function summaryOf(run: Run): Summary {
  return run.result?.["report"] ?? {};
}

/** Watt hours of a build's training; null where they are not known. */
export function energyOf(run: Run): number | null {
  return summaryOf(run).training?.energy_wh ?? null;
}

type Settings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** The settings that a build was started with. */
export function settingsOf(run: Run): Settings {
  return (run.request["own"] ?? run.request["recipe"] ?? {}) as Settings;
}

/** Whether the model was built elsewhere and opened here. */
export function isBrought(run: Run): boolean {
  return "brought" in run.request;
}

/** The version of the data that a build learnt from, and how long it took in seconds; null for a model from elsewhere. */
export function madeFrom(run: Run): { version: number | null; seconds: number | null } {
  const version = Number(run.result?.["version"] ?? 0);
  return { version: version || null, seconds: run.started && run.ended && !isBrought(run) ? run.ended - run.started : null };
}

/** A build's preset, and how many settings were changed beside it. */
export function presetOf(t: TFunction, run: Run): string {
  if (isBrought(run)) return t("build.brought");
  const settings = settingsOf(run);
  const quality = run.request["preset"] ?? settings["student"]?.["quality"];
  const changed = Object.entries(settings).reduce((sum, [section, given]) => sum + Object.keys(given).filter((name) => section !== "student" || name !== "quality").length, 0);
  const name = typeof quality === "string" ? t(`build.${quality}.title`) : t("build.own");
  return changed > 0 ? `${name}, ${t("build.changed", { count: changed })}` : name;
}

/** The folder of a build's model, which its last step tells; people need not read it. */
export function modelPath(run: Run): string | undefined {
  const found = run.result?.["model"];
  return typeof found === "string" ? found : undefined;
}
