import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";
import { asked, drafted } from "./draft";

export type Serving = components["schemas"]["ModelServing"];
export type ServingStart = components["schemas"]["ServingStart"];
export type Key = components["schemas"]["ServingKey"];
export type Certificate = components["schemas"]["ModelCertificate"];
export type Traffic = components["schemas"]["LiveTraffic"];
export type Figures = components["schemas"]["TrafficFigures"];
export type Captured = components["schemas"]["StoredRequest"];

export const GROUPS = ["all", "local", "uncertified", "passed_on", "cached", "failed", "audited", "corrected", "unpriced"] as const;
export type Group = (typeof GROUPS)[number];

const LIVE_MS = 5_000;
const STARTING_MS = 800;
export const REQUESTS_PER_PAGE = 50;

/** Place of a project in calls of the API. */
export function at(project: string) {
  return { params: { path: { project } } };
}

/** The project's server; asked again while it starts, and now and then while it runs. */
export function useServing(project: string) {
  return useQuery({
    queryKey: ["serving", project],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/serving", at(project))),
    refetchInterval: (query) => (query.state.data?.state === "starting" ? STARTING_MS : LIVE_MS),
  });
}

function useServingChange<V, R>(project: string, change: (value: V) => Promise<R>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn: change, onSettled: () => queries.invalidateQueries({ queryKey: ["serving", project] }) });
}

/** Start the server. */
export function useStartServing(project: string) {
  return useServingChange(project, (wanted: ServingStart) => body(api.POST("/api/v1/projects/{project}/serving/start", { ...at(project), body: wanted })));
}

/** Serve the newest model in place of the running one. */
export function useServeNewest(project: string) {
  return useServingChange<undefined, Serving>(project, () => body(api.POST("/api/v1/projects/{project}/serving/newest", at(project))));
}

/** Stop the server. */
export function useStopServing(project: string) {
  return useServingChange(project, () => body(api.POST("/api/v1/projects/{project}/serving/stop", at(project))));
}

/** Stop the server and start it as the recipe says now. `newest`: the newest model, which it then serves. */
export function useRestart(project: string, newest: string | undefined) {
  return useServingChange<undefined, Serving>(project, async () => {
    const stopped = await body(api.POST("/api/v1/projects/{project}/serving/stop", at(project)));
    return body(api.POST("/api/v1/projects/{project}/serving/start", { ...at(project), body: startOf(stopped, newest) }));
  });
}

/** How a stopped server starts without anybody filling in its form. */
export function startOf(serving: Serving, newest: string | undefined): ServingStart {
  return { settings: asked(drafted(serving.settings, newest), serving.settings.fallback !== ""), fallback_key: null };
}

/** The API keys, revoked ones too. */
export function useKeys(project: string, enabled: boolean) {
  return useQuery({ enabled, queryKey: ["serving", project, "keys"], queryFn: () => body(api.GET("/api/v1/projects/{project}/serving/keys", at(project))) });
}

/** Make a key. Its text comes back this once. */
export function useMakeKey(project: string) {
  return useServingChange(project, (name: string) => body(api.POST("/api/v1/projects/{project}/serving/keys", { ...at(project), body: { name } })));
}

/** Revoke a key for good. */
export function useRevokeKey(project: string) {
  return useServingChange(project, (key: string) => body(api.DELETE("/api/v1/projects/{project}/serving/keys/{key}", { params: { path: { project, key } } })));
}

/** How a model's certificate stands, and the rows that it takes for a share of wrong answers. `tested`: when its last test ended. */
export function useCertificate(project: string, model: string, alpha: number, delta: number, tested: number | null) {
  return useQuery({
    queryKey: ["certificate", project, model, alpha, delta, tested],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/certificates/{model}", { params: { path: { project, model }, query: { alpha, delta } } })),
    placeholderData: (before) => before,
  });
}

/** Revoke a model's certificate for good. */
export function useRevokeCertificate(project: string, model: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (reason: string) => body(api.POST("/api/v1/projects/{project}/certificates/{model}/revoke", { params: { path: { project, model } }, body: { reason } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["certificate", project] }),
  });
}

/** The figures of the last days, kept up to date. */
export function useTraffic(project: string, days: number, enabled = true) {
  return useQuery({
    enabled,
    queryKey: ["traffic", project, days],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/traffic", { params: { path: { project }, query: { days } } })),
    refetchInterval: LIVE_MS,
    placeholderData: (before) => before,
  });
}

export interface RequestQuery {
  group: Group;
  why: string | null;
  search: string;
  days: number;
  page: number;
}

/** Captured requests: the rows behind a figure. */
export function useRequests(project: string, { group, why, search, days, page }: RequestQuery, enabled: boolean) {
  const query = { group, search, days, offset: page * REQUESTS_PER_PAGE, limit: REQUESTS_PER_PAGE, ...(why === null ? {} : { why }) };
  return useQuery({
    enabled,
    queryKey: ["traffic", project, "requests", query],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/traffic/requests", { params: { path: { project }, query } })),
    placeholderData: (before) => before,
  });
}
