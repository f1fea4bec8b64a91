import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";

export type Recipe = components["schemas"]["ProjectRecipe"];
export type RecipeForm = components["schemas"]["RecipeForm"];
export type Mistake = components["schemas"]["SettingMistake"];
export type Kind = components["schemas"]["OfferedNodeKind"];
export type Step = components["schemas"]["GivenNode"];
export type Wire = components["schemas"]["GivenWire"];
export type Port = components["schemas"]["CanvasPort"];
export type Preset = components["schemas"]["RecipePreset"];

const at = (project: string) => ({ params: { path: { project } } });

/** The recipe of a project, as it is stored. */
export function useRecipe(project: string) {
  return useQuery({ queryKey: ["recipe", project, "stored"], queryFn: () => body(api.GET("/api/v1/projects/{project}/recipe", at(project))) });
}

/** A recipe in its other forms, with its mistakes; of the last one that could be read while this one is looked at. */
export function useCheckedRecipe(project: string, form: RecipeForm | null) {
  return useQuery({
    enabled: form !== null,
    queryKey: ["recipe", project, "checked", form],
    queryFn: ({ signal }) => body(api.POST("/api/v1/projects/{project}/recipe/check", { ...at(project), body: form ?? {}, signal })),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    gcTime: 60_000,
  });
}

/** Keep a recipe as the project's. */
export function useSaveRecipe(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (form: RecipeForm) => body(api.PUT("/api/v1/projects/{project}/recipe", { ...at(project), body: form })),
    onSuccess: (saved) => {
      queries.setQueryData(["recipe", project, "stored"], saved);
      return Promise.all(["projects", "serving"].map((name) => queries.invalidateQueries({ queryKey: [name] })));
    },
  });
}

/** The kinds of steps of the project's recipes; `student` chooses whose training settings there are. */
export function useKinds(project: string, student: string | undefined) {
  return useQuery({
    queryKey: ["recipe", project, "kinds", student ?? ""],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/recipe/kinds", { params: { path: { project }, query: student === undefined ? {} : { student } } })),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
  });
}

/** Settings for common cases. */
export function usePresets(project: string) {
  return useQuery({ queryKey: ["recipe", project, "presets"], queryFn: () => body(api.GET("/api/v1/projects/{project}/recipe/presets", at(project))) });
}
