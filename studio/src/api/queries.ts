import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body, fileBody } from "./client";
import type { components } from "./schema";

export type Session = components["schemas"]["SessionState"];
export type Project = components["schemas"]["ProjectOverview"];
export type Goal = components["schemas"]["Goal"];
export type Permission = Session["permissions"][number];

/** Who is logged in. */
export function useSession() {
  return useQuery({ queryKey: ["session"], queryFn: () => body(api.GET("/api/v1/session")), staleTime: 60_000 });
}

/** Whether the person may do something. */
export function useMay(permission: Permission): boolean {
  return useSession().data?.permissions.includes(permission) ?? false;
}

/** The kinds of jobs that a model can be built for. */
export function useGoals() {
  return useQuery({ queryKey: ["goals"], queryFn: () => body(api.GET("/api/v1/goals")), staleTime: Infinity });
}

/** All projects, the last changed first. */
export function useProjects() {
  return useQuery({ queryKey: ["projects"], queryFn: () => body(api.GET("/api/v1/projects")) });
}

/** One project. */
export function useProject(project: string) {
  return useQuery({ queryKey: ["projects", project], queryFn: () => body(api.GET("/api/v1/projects/{project}", { params: { path: { project } } })) });
}

/** Make a project. */
export function useCreateProject() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wanted: components["schemas"]["NewProject"]) => body(api.POST("/api/v1/projects", { body: wanted })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["projects"] }),
  });
}

/** Delete a project. */
export function useDeleteProject() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (project: string) => body(api.DELETE("/api/v1/projects/{project}", { params: { path: { project } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["projects"] }),
  });
}

/** How much of the disk the stored results of build steps take. */
export function useBuildResults() {
  return useQuery({ queryKey: ["build-results"], queryFn: () => body(api.GET("/api/v1/build-results")) });
}

/** Remove the results of build steps that no running build uses. */
export function useClearBuildResults() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => body(api.DELETE("/api/v1/build-results")),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["build-results"] }),
  });
}

/** Log in with a name and a password. */
export function useLogIn() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (who: components["schemas"]["LogIn"]) => body(api.POST("/api/v1/session", { body: who })),
    onSuccess: () => queries.invalidateQueries(),
  });
}

/** End the session of this browser. */
export function useLogOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => body(api.DELETE("/api/v1/session")),
    onSuccess: () => queries.resetQueries(),
  });
}

export type Upload = components["schemas"]["FilePreview"];
export type Row = components["schemas"]["DataRow"];
export type DataSummary = components["schemas"]["DataSummary"];
export type AnswerCount = components["schemas"]["AnswerCount"];
export type Version = components["schemas"]["DataVersion"];
export type Edit = components["schemas"]["EditRequest"]["edit"];
export type Added = components["schemas"]["ImportResult"];
export type Import = components["schemas"]["ImportRequest"];

export interface RowQuery {
  search: string;
  output: string | null;
  unlabelled: boolean;
  part: "train" | "test" | null;
  /** JSON of a label, a kind or a value that the answer holds. */
  holds?: string | null;
  /** With `holds`: the field that has the value. */
  field?: string | null;
}

export const ROWS_PER_PAGE = 200;

/** The state of a project's data. */
export function useData(project: string) {
  return useQuery({ queryKey: ["data", project, "summary"], queryFn: () => body(api.GET("/api/v1/projects/{project}/data", { params: { path: { project } } })) });
}

/** One page of rows; pages count from 0. */
export function rowsQuery(project: string, where: RowQuery, page: number) {
  const query = {
    offset: page * ROWS_PER_PAGE,
    limit: ROWS_PER_PAGE,
    search: where.search,
    unlabelled: where.unlabelled,
    ...(where.output === null ? {} : { output: where.output }),
    ...(where.part === null ? {} : { part: where.part }),
    ...(where.holds ? { holds: where.holds } : {}),
    ...(where.field ? { field: where.field } : {}),
  };
  return {
    queryKey: ["data", project, "rows", where, page],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/rows", { params: { path: { project }, query } })),
  };
}

/** The answers that occur, and how many rows have each. */
export function useLabels(project: string, enabled = true) {
  return useQuery({ enabled, queryKey: ["data", project, "labels"], queryFn: () => body(api.GET("/api/v1/projects/{project}/labels", { params: { path: { project } } })) });
}

/** How the project's answers look: labels, kinds of span, or fields. */
export function useAnswerForm(project: string) {
  return useQuery({ queryKey: ["data", project, "form"], queryFn: () => body(api.GET("/api/v1/projects/{project}/answer-form", { params: { path: { project } } })) });
}

/** The versions of the data, the newest first. */
export function useVersions(project: string, enabled: boolean) {
  return useQuery({ enabled, queryKey: ["data", project, "versions"], queryFn: () => body(api.GET("/api/v1/projects/{project}/versions", { params: { path: { project } } })) });
}

/** A change of the data: whatever shows the data is fetched again. `onDone` is called first, even where the page has changed meanwhile. */
export function useDataChange<V, R>(project: string, change: (value: V) => Promise<R>, onDone?: (result: R) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: (result) => {
      onDone?.(result);
      return Promise.all([queries.invalidateQueries({ queryKey: ["data", project] }), queries.invalidateQueries({ queryKey: ["projects"] })]);
    },
  });
}

/** Edit the data; each edit is a new version. */
export function useEdit(project: string) {
  return useDataChange(project, (edit: Edit) => body(api.POST("/api/v1/projects/{project}/edits", { params: { path: { project } }, body: { edit } })));
}

/** Take back the last edit, or repeat the one that was taken back. */
export function useStep(project: string) {
  return useDataChange(project, (step: "undo" | "redo") => body(api.POST(`/api/v1/projects/{project}/${step}`, { params: { path: { project } } })));
}

/** Make a new version with the rows of an older one. */
export function useRestore(project: string) {
  return useDataChange(project, (number: number) => body(api.POST("/api/v1/projects/{project}/versions/{number}/restore", { params: { path: { project, number } } })));
}

/** Add the rows of an uploaded file. */
export function useImport(project: string, onDone: (added: Added) => void) {
  return useDataChange(project, (wanted: Import) => body(api.POST("/api/v1/projects/{project}/imports", { params: { path: { project } }, body: wanted })), onDone);
}

/** Send a file to be looked at. */
export function useUpload(project: string) {
  return useMutation({
    mutationFn: (file: File) => body(api.POST("/api/v1/projects/{project}/uploads", { params: { path: { project }, query: { name: file.name } }, ...fileBody(file) })),
  });
}

/** Look at a sent file again; `header`: whether its first row names the columns. */
export function useLookAgain(project: string, upload: string) {
  return useMutation({ mutationFn: (how: { header: boolean; sheet?: string }) => body(api.GET("/api/v1/projects/{project}/uploads/{upload}", { params: { path: { project, upload }, query: how } })) });
}

export type Run = components["schemas"]["Run"];

const UNFINISHED: readonly Run["state"][] = ["queued", "running", "stopping"];

/** Whether something more will happen in a run. */
export function isUnfinished(run: Run): boolean {
  return UNFINISHED.includes(run.state);
}

/** The runs of a project, the newest first; asked again while one goes on. */
export function useRuns(project: string) {
  return useQuery({
    queryKey: ["runs", project],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/runs", { params: { path: { project } } })),
    refetchInterval: (query) => (query.state.data?.some(isUnfinished) ? 2_000 : false),
  });
}

/** Start a run. */
export function useStartRun(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wanted: components["schemas"]["NewRun"]) => body(api.POST("/api/v1/projects/{project}/runs", { params: { path: { project } }, body: wanted })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["runs", project] }),
  });
}

/** Stop a run, or take up one that was stopped. */
export function useMoveRun(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ run, move }: { run: string; move: "stop" | "resume" }) => body(api.POST(`/api/v1/runs/{run}/${move}`, { params: { path: { run } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["runs", project] }),
  });
}
