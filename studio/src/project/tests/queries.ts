import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";

export type Tests = components["schemas"]["WantedConversations"];
export type Conversation = components["schemas"]["WantedConversation"];
export type TurnOf = components["schemas"]["WantedTurn"];
export type Result = components["schemas"]["ShownTurnResult"];

function at(project: string) {
  return { params: { path: { project } } };
}

function key(project: string) {
  return ["tests", project];
}

/** The test conversations, with what the newest build answered. */
export function useTests(project: string) {
  return useQuery({ queryKey: key(project), queryFn: () => body(api.GET("/api/v1/projects/{project}/test-conversations", at(project))) });
}

function useChange<W>(project: string, change: (wanted: W) => Promise<Tests>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn: change, onSuccess: (tests) => queries.setQueryData(key(project), tests) });
}

/** Add or change a conversation. */
export function useSaveConversation(project: string) {
  return useChange(project, (wanted: components["schemas"]["ConversationChange"]) => body(api.PUT("/api/v1/projects/{project}/test-conversations", { ...at(project), body: wanted })));
}

/** Remove a conversation. */
export function useDeleteConversation(project: string) {
  return useChange(project, (wanted: components["schemas"]["ConversationRemoval"]) => body(api.POST("/api/v1/projects/{project}/test-conversations/delete", { ...at(project), body: wanted })));
}

/** Add the conversations of a file. */
export function useImportConversations(project: string) {
  return useChange(project, (wanted: components["schemas"]["ConversationImport"]) => body(api.POST("/api/v1/projects/{project}/test-conversations/import", { ...at(project), body: wanted })));
}

/** Answer all conversations with the newest build. */
export function useMeasure(project: string) {
  return useChange(project, () => body(api.POST("/api/v1/projects/{project}/test-conversations/measure", at(project))));
}
