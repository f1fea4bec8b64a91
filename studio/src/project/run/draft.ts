import type { components } from "../../api/schema";

export type ServingSettings = components["schemas"]["ServingSettings"];

/** In place of a model's id: whichever version the line has chosen. */
export const LINE = "line";

/** How to serve, as the form holds it: the port as it is typed. */
export interface Draft extends Omit<ServingSettings, "port"> {
  port: string;
}

/** The form's first state: as it was served last, with the newest model. The line, and watching alone, stay as they were. A score that was
 * typed for another model is not kept. */
export function drafted(settings: ServingSettings, newest: string | undefined): Draft {
  const stays = settings.model === LINE || (settings.model === "" && settings.fallback !== "");
  const model = stays ? settings.model : (newest ?? settings.model);
  return { ...settings, model, local_score: model === settings.model ? (settings.local_score ?? null) : null, port: settings.port ? String(settings.port) : "" };
}

/** The settings that the form asks for. Without a large model behind, what was typed about it is left out. */
export function asked(draft: Draft, behind: boolean): ServingSettings {
  const shared = { ...draft, port: Number(draft.port) };
  if (!behind) return { ...shared, fallback: "", fallback_model: "", price_in: null, price_out: null, local: draft.local === "never" ? "certified" : draft.local };
  return { ...shared, fallback: draft.fallback.trim(), fallback_model: draft.fallback_model.trim() };
}
