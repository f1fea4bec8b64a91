import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";

export type Policy = components["schemas"]["ShownPolicy"];
export type Tried = components["schemas"]["TriedMessage"];

function at(project: string) {
  return { params: { path: { project } } };
}

function key(project: string) {
  return ["policy", project];
}

/** The policy of a desk. */
export function usePolicy(project: string) {
  return useQuery({ queryKey: key(project), queryFn: () => body(api.GET("/api/v1/projects/{project}/policy", at(project))) });
}

/** Turn a policy into its other form, with its mistakes. */
export function useCheckPolicy(project: string) {
  return useMutation({ mutationFn: (wanted: components["schemas"]["PolicyForm"]) => body(api.POST("/api/v1/projects/{project}/policy/check", { ...at(project), body: wanted })) });
}

/** Keep a policy. */
export function useSavePolicy(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wanted: components["schemas"]["PolicyForm"]) => body(api.PUT("/api/v1/projects/{project}/policy", { ...at(project), body: wanted })),
    onSuccess: (policy) => queries.setQueryData(key(project), policy),
  });
}

/** Choose the model that finds customers' personal data. */
export function useChooseFinder(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (model: string) => body(api.PUT("/api/v1/projects/{project}/policy/finder", { ...at(project), body: { model } })),
    onSuccess: (policy) => {
      queries.setQueryData(key(project), policy);
      return queries.invalidateQueries({ queryKey: ["files", project] });
    },
  });
}

/** What happens with a message under a policy. */
export function useTryPolicy(project: string) {
  return useMutation({ mutationFn: (wanted: components["schemas"]["PolicyQuestion"]) => body(api.POST("/api/v1/projects/{project}/policy/try", { ...at(project), body: wanted })) });
}
