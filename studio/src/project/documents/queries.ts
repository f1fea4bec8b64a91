import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body, fileBody } from "../../api/client";
import type { components } from "../../api/schema";

export type Documents = components["schemas"]["ProjectDocuments"];
export type DocumentFile = components["schemas"]["DocumentFile"];
export type Passage = components["schemas"]["ShownPassage"];
export type Tested = components["schemas"]["TestedQuestion"];
export type Considered = components["schemas"]["ConsideredPassage"];
export type Questions = components["schemas"]["QuestionList"];
export type AskedRow = components["schemas"]["QuestionEntry"];
export type Kind = components["schemas"]["KindState"]["kind"];

function at(project: string) {
  return { params: { path: { project } } };
}

/** The files of documents, with what was read of each. */
export function useDocuments(project: string) {
  return useQuery({ queryKey: ["files", project, "documents"], queryFn: () => body(api.GET("/api/v1/projects/{project}/documents", at(project))) });
}

/** The passages of a file. */
export function usePassages(project: string, name: string) {
  return useQuery({
    queryKey: ["files", project, "passages", name],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/documents/passages", { params: { path: { project }, query: { name } } })),
  });
}

/** The questions that people ask. */
export function useQuestions(project: string) {
  return useQuery({ queryKey: ["files", project, "questions"], queryFn: () => body(api.GET("/api/v1/projects/{project}/questions", at(project))) });
}

/** Everything that is known of a project's files is fetched again. */
export function useFilesChanged(project: string): () => Promise<void> {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: ["files", project] });
}

/** Send one file of a kind; what was left out of it is told. */
export function sendFile(project: string, kind: Kind, name: string, file: File): Promise<components["schemas"]["TakenFiles"]> {
  return body(api.POST("/api/v1/projects/{project}/files/uploads", { params: { path: { project }, query: { kind, name } }, ...fileBody(file) }));
}

/** Delete a file. */
export function useDeleteFile(project: string) {
  const changed = useFilesChanged(project);
  return useMutation({
    mutationFn: (name: string) => body(api.DELETE("/api/v1/projects/{project}/files", { params: { path: { project }, query: { name } } })),
    onSuccess: changed,
  });
}

/** Test a question: with a model, or by keywords alone. */
export function useTestQuestion(project: string) {
  return useMutation({ mutationFn: (wanted: { question: string; model: string | null }) => body(api.POST("/api/v1/projects/{project}/documents/test", { ...at(project), body: wanted })) });
}

/** Replace all questions. */
export function useSaveQuestions(project: string) {
  const changed = useFilesChanged(project);
  return useMutation({ mutationFn: (wanted: { rows: AskedRow[]; state: string }) => body(api.PUT("/api/v1/projects/{project}/questions", { ...at(project), body: wanted })), onSuccess: changed });
}

/** Add a question. */
export function useAddQuestion(project: string) {
  const changed = useFilesChanged(project);
  return useMutation({ mutationFn: (row: AskedRow) => body(api.POST("/api/v1/projects/{project}/questions", { ...at(project), body: row })), onSuccess: changed });
}
