import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { useFilesChanged } from "../documents/queries";

export type MessageKind = components["schemas"]["MessageKindSteps"];
export type MessageKinds = components["schemas"]["MessageKinds"];

function at(project: string) {
  return { params: { path: { project } } };
}

/** The kinds of message that a desk tells apart. */
export function useIntents(project: string) {
  return useQuery({ queryKey: ["files", project, "intents"], queryFn: () => body(api.GET("/api/v1/projects/{project}/intents", at(project))) });
}

function useChanged(project: string): () => Promise<unknown> {
  const queries = useQueryClient();
  const files = useFilesChanged(project);
  return () => Promise.all([files(), queries.invalidateQueries({ queryKey: ["policy", project] })]);
}

/** Add or change a kind of message. */
export function useSaveIntent(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({ mutationFn: (wanted: components["schemas"]["MessageKindChange"]) => body(api.PUT("/api/v1/projects/{project}/intents", { ...at(project), body: wanted })), onSuccess });
}

/** Remove a kind of message. */
export function useDeleteIntent(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({ mutationFn: (wanted: components["schemas"]["MessageKindRemoval"]) => body(api.POST("/api/v1/projects/{project}/intents/delete", { ...at(project), body: wanted })), onSuccess });
}
