import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body, fileBody } from "../../api/client";
import type { components } from "../../api/schema";

export type Tools = components["schemas"]["ShownTools"];
export type Tool = components["schemas"]["ShownTool"];
export type ToolPlace = components["schemas"]["ToolPlace"];
export type FieldMistake = components["schemas"]["FieldMistake"];
export type DryRun = components["schemas"]["DryRunResult"];
export type Offered = components["schemas"]["ChoosableTool"];

function at(project: string) {
  return { params: { path: { project } } };
}

function key(project: string) {
  return ["tools", project];
}

/** The tools of a project. */
export function useTools(project: string) {
  return useQuery({ queryKey: key(project), queryFn: () => body(api.GET("/api/v1/projects/{project}/tools", at(project))) });
}

function useChange<W>(project: string, change: (wanted: W) => Promise<Tools>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn: change, onSuccess: (tools) => queries.setQueryData(key(project), tools) });
}

/** Add or change a tool. */
export function useSaveTool(project: string) {
  return useChange(project, (wanted: components["schemas"]["ToolChange"]) => body(api.PUT("/api/v1/projects/{project}/tools", { ...at(project), body: wanted })));
}

/** Remove a tool. */
export function useDeleteTool(project: string) {
  return useChange(project, (wanted: components["schemas"]["ToolRemoval"]) => body(api.POST("/api/v1/projects/{project}/tools/delete", { ...at(project), body: wanted })));
}

/** Replace the tool file. */
export function useSaveToolText(project: string) {
  return useChange(project, (wanted: components["schemas"]["ToolText"]) => body(api.PUT("/api/v1/projects/{project}/tools/text", { ...at(project), body: wanted })));
}

/** Name the database that queries read. */
export function useSaveDatabase(project: string) {
  return useChange(project, (wanted: components["schemas"]["DatabaseChoice"]) => body(api.PUT("/api/v1/projects/{project}/tools/database", { ...at(project), body: wanted })));
}

/** Send a SQLite database for queries to read. */
export function useSendDatabase(project: string) {
  return useChange(project, ({ file, stamp }: { file: File; stamp: string }) => body(api.POST("/api/v1/projects/{project}/tools/database/uploads", { params: { path: { project }, query: { name: file.name, stamp } }, ...fileBody(file) })));
}

/** Choose operations of an OpenAPI document. */
export function useChooseOperations(project: string) {
  return useChange(project, ({ name, ...wanted }: components["schemas"]["DocumentChoice"] & { name: string }) =>
    body(api.PUT("/api/v1/projects/{project}/tools/openapi/{name}", { params: { path: { project, name } }, body: wanted })),
  );
}

/** Choose tools of an MCP server. */
export function useChooseServerTools(project: string) {
  return useChange(project, ({ name, ...wanted }: components["schemas"]["ServerChoice"] & { name: string }) =>
    body(api.PUT("/api/v1/projects/{project}/tools/mcp/{name}", { params: { path: { project, name } }, body: wanted })),
  );
}

/** Add the tools of a plan. */
export function useChoosePlan(project: string) {
  return useChange(project, (wanted: components["schemas"]["PlanChoice"]) => body(api.PUT("/api/v1/projects/{project}/tools/plan", { ...at(project), body: wanted })));
}

/** The mistakes of a tool as it is typed. */
export function useToolCheck(project: string, wanted: components["schemas"]["ToolChange"] | null) {
  return useQuery({
    queryKey: [...key(project), "check", wanted],
    queryFn: () => body(api.POST("/api/v1/projects/{project}/tools/check", { ...at(project), body: wanted as components["schemas"]["ToolChange"] })),
    enabled: wanted !== null,
    placeholderData: (before) => before,
    retry: false,
    gcTime: 10_000,
  });
}

/** The exact call that a message or arguments lead to. */
export function useDryRun(project: string) {
  return useMutation({ mutationFn: (wanted: components["schemas"]["CallRequest"]) => body(api.POST("/api/v1/projects/{project}/tools/dry-run", { ...at(project), body: wanted })) });
}

/** Make one call of a tool that only reads. */
export function useRunOnce(project: string) {
  return useMutation({ mutationFn: (wanted: components["schemas"]["RunOnceRequest"]) => body(api.POST("/api/v1/projects/{project}/tools/run", { ...at(project), body: wanted })) });
}

/** Keep a secret, or remove it. */
export function useSaveSecret(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wanted: components["schemas"]["SecretChange"]) => body(api.PUT("/api/v1/projects/{project}/tools/secrets", { ...at(project), body: wanted })),
    onSuccess: () => queries.invalidateQueries({ queryKey: key(project) }),
  });
}

/** The operations in an OpenAPI document. */
export function useReadDocument(project: string) {
  return useMutation({ mutationFn: (text: string) => body(api.POST("/api/v1/projects/{project}/tools/openapi", { ...at(project), body: { text } })) });
}

/** The tools of an MCP server. */
export function useAskServer(project: string) {
  return useMutation({ mutationFn: (wanted: components["schemas"]["ServerQuestion"]) => body(api.POST("/api/v1/projects/{project}/tools/mcp", { ...at(project), body: wanted })) });
}
