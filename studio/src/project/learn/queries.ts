import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";

export type Line = components["schemas"]["ProjectLine"];
export type Queue = components["schemas"]["ReviewQueue"];
export type Captured = components["schemas"]["StoredRequest"];

function at(project: string) {
  return { params: { path: { project } } };
}

/** The line of the project's model; null where there is none yet. `learnt`: when the last learning ended. */
export function useLine(project: string, learnt: number | null = null) {
  return useQuery({
    queryKey: ["line", project, learnt],
    queryFn: async () => (await body(api.GET("/api/v1/projects/{project}/line", at(project)))) ?? null,
    placeholderData: (before) => before,
  });
}

/** Let an earlier version serve again. */
export function useRollBack(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wanted: { version: string; reason: string }) => body(api.POST("/api/v1/projects/{project}/line/rollback", { ...at(project), body: wanted })),
    onSuccess: () => Promise.all([queries.invalidateQueries({ queryKey: ["line", project] }), queries.invalidateQueries({ queryKey: ["certificate", project] })]),
  });
}

/** The next requests to look at. */
export function useQueue(project: string) {
  return useQuery({ queryKey: ["review", project], queryFn: () => body(api.GET("/api/v1/projects/{project}/review", at(project))) });
}

/** Give a request its right answer, or skip it. */
export function useReview(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ request, output, skip = false }: { request: string; output?: unknown; skip?: boolean }) =>
      body(api.POST("/api/v1/projects/{project}/review/{request}", { params: { path: { project, request } }, body: { output, skip } })),
    onSuccess: () => Promise.all([queries.invalidateQueries({ queryKey: ["review", project] }), queries.invalidateQueries({ queryKey: ["data", project] })]),
  });
}

/** Make a project from a recurring job. */
export function useBuildJob(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ job, name }: { job: string; name: string }) => body(api.POST("/api/v1/projects/{project}/jobs/{job}/project", { params: { path: { project, job } }, body: { name } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["projects"] }),
  });
}
