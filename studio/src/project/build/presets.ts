import type { BuildSettings } from "./queries";

/** A preset's settings with a person's own over them. Who chooses a kind of model, or how it trains, gets no other kind by the preset. */
export function withPreset(preset: BuildSettings, own: BuildSettings): BuildSettings {
  const names = [...new Set([...Object.keys(preset), ...Object.keys(own)])];
  const merged = Object.fromEntries(names.map((name) => [name, { ...preset[name], ...own[name] }]));
  if (own["train"] && own["student"]?.["kind"] === undefined && merged["student"]) {
    merged["student"] = Object.fromEntries(Object.entries(merged["student"]).filter(([name]) => name !== "kind"));
  }
  return merged;
}
