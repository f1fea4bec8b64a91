import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import { isUnfinished, useRuns } from "../../api/queries";
import type { components } from "../../api/schema";
import { useFilesChanged } from "../documents/queries";

export type Material = components["schemas"]["MaterialState"];
export type KindState = components["schemas"]["KindState"];
export type TableColumns = components["schemas"]["TableColumns"];
export type ProjectFile = components["schemas"]["ProjectFile"];

function at(project: string) {
  return { params: { path: { project } } };
}

/** What is there of each kind of files, and what to do next. */
export function useMaterial(project: string, enabled = true) {
  const ended = (useRuns(project).data ?? []).filter((run) => !isUnfinished(run)).length;
  return useQuery({ queryKey: ["files", project, "material", ended], enabled, placeholderData: (before) => before, queryFn: () => body(api.GET("/api/v1/projects/{project}/material", at(project))) });
}

/** Which column of each table is what. */
export function useColumns(project: string) {
  return useQuery({ queryKey: ["files", project, "columns"], queryFn: () => body(api.GET("/api/v1/projects/{project}/columns", at(project))) });
}

/** Choose the columns of a table. */
export function useChooseColumns(project: string) {
  const onSuccess = useFilesChanged(project);
  return useMutation({ mutationFn: (wanted: components["schemas"]["ColumnsChange"]) => body(api.PUT("/api/v1/projects/{project}/columns", { ...at(project), body: wanted })), onSuccess });
}

/** All files of a project. */
export function useFiles(project: string) {
  return useQuery({ queryKey: ["files", project, "all"], queryFn: () => body(api.GET("/api/v1/projects/{project}/files", at(project))) });
}

/** The text of a file. */
export function useFileText(project: string, name: string) {
  return useQuery({ queryKey: ["file-text", project, name], gcTime: 0, staleTime: 0, queryFn: () => body(api.GET("/api/v1/projects/{project}/files/text", { params: { path: { project }, query: { name } } })) });
}

/** Add a text file under its own name. */
export function useAddFile(project: string) {
  const onSuccess = useFilesChanged(project);
  return useMutation({
    mutationFn: ({ name, text }: { name: string; text: string }) => body(api.PUT("/api/v1/projects/{project}/files/text", { params: { path: { project }, query: { name } }, body: { text } })),
    onSuccess,
  });
}

/** Write a text file. */
export function useSaveText(project: string, name: string) {
  const queries = useQueryClient();
  const changed = useFilesChanged(project);
  return useMutation({
    mutationFn: (text: string) => body(api.PUT("/api/v1/projects/{project}/files/text", { params: { path: { project }, query: { name } }, body: { text } })),
    onSuccess: () => Promise.all([changed(), queries.invalidateQueries({ queryKey: ["file-text", project, name] })]),
  });
}
