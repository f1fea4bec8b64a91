import type { ServingSettings } from "./queries";

/** How to serve, as the form holds it: the port as it is typed. */
export interface Draft extends Omit<ServingSettings, "port"> {
  port: string;
}

/** The form's first state: as it was served last; a project that was never served begins with its newest model. */
export function drafted(settings: ServingSettings, newest: string | undefined): Draft {
  return { ...settings, model: settings.model || (settings.fallback ? "" : (newest ?? "")), port: settings.port ? String(settings.port) : "" };
}

/** The settings that the form asks for. Without a large model behind, what was typed about it is left out. */
export function asked(draft: Draft, behind: boolean): ServingSettings {
  const shared = { ...draft, port: Number(draft.port) };
  if (!behind) return { ...shared, fallback: "", fallback_model: "", price_in: null, price_out: null, uncertified_score: null };
  return { ...shared, fallback: draft.fallback.trim(), fallback_model: draft.fallback_model.trim() };
}

/** A point of a model's risk-coverage curve. */
export interface ChosenPoint {
  threshold: number;
  coverage: number;
  risk: number;
}

/** The point that was chosen on the report page for this model, where there is one. */
export function chosenPoint(settings: Record<string, unknown> | undefined, model: string): ChosenPoint | null {
  const point = settings?.["operating_point"] as (Partial<ChosenPoint> & { model?: string }) | undefined;
  const { threshold, coverage, risk } = point ?? {};
  return point?.model === model && threshold !== undefined && coverage !== undefined && risk !== undefined ? { threshold, coverage, risk } : null;
}
