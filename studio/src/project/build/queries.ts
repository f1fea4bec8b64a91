import { useMutation, useQuery } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";

/** Settings of a build, by section and name, as a recipe has them. */
export type BuildSettings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export type Mistake = components["schemas"]["SettingFault"];

/** The settings that a build takes, by section. `student`: whose training settings are meant. */
export function useSections(project: string, student: string | undefined, enabled: boolean) {
  return useQuery({
    enabled,
    staleTime: Infinity,
    placeholderData: (before) => before,
    queryKey: ["settings", project, student ?? ""],
    queryFn: async () => {
      const found = await body(api.GET("/api/v1/projects/{project}/settings", { params: { path: { project }, query: student === undefined ? {} : { student } } }));
      return found.map((section) => ({ name: section.name, about: section.about, schema: section.settings }));
    },
  });
}

/** Ask the server for the mistakes in settings. */
export function useCheckSettings(project: string) {
  return useMutation({ mutationFn: (settings: BuildSettings) => body(api.POST("/api/v1/projects/{project}/settings/check", { params: { path: { project } }, body: { settings } })) });
}

/** The settings with one changed; undefined takes it away, and empty sections go. */
export function withSetting(settings: BuildSettings, section: string, name: string, value: unknown): BuildSettings {
  const given = Object.fromEntries(Object.entries({ ...settings[section], [name]: value }).filter((entry) => entry[1] !== undefined));
  const others = Object.entries(settings).filter(([key]) => key !== section);
  return Object.fromEntries(Object.keys(given).length ? [...others, [section, given]] : others);
}

/** The messages of a section's settings, by their names. */
export function errorsOf(mistakes: readonly Mistake[], section: string): Record<string, string> {
  const start = `${section}.`;
  // `data.teacher.source` is of the section `data.teacher`, not of `data`: a setting's own name has no dot, and a place within one does.
  return Object.fromEntries(mistakes.filter(({ place }) => place.startsWith(start)).map(({ place, message }) => [place.slice(start.length).split(".")[0] ?? "", message]));
}
