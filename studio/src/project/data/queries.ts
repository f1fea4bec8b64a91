import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { api, body } from "../../api/client";
import { type RunStory, useRunStory } from "../../api/events";
import { useDataChange } from "../../api/queries";
import type { components } from "../../api/schema";

export type Look = components["schemas"]["DataLook"];
export type FirstAnswer = components["schemas"]["FirstAnswer"];
export type Saving = components["schemas"]["MonthlySaving"];
export type Finding = components["schemas"]["OpenFinding"];
export type FindingItem = components["schemas"]["FindingItem"];

const FOLLOW_MS = 4_000;

/** Whether a look waits or goes on. */
export function isLooking(look: Look | undefined): boolean {
  return look?.run !== null && look?.run !== undefined && ["queued", "running", "stopping"].includes(look.run.state);
}

/** The first answer from the data, as far as it is known, and the story of the look that goes on. */
export function useLook(project: string) {
  const queries = useQueryClient();
  const look = useQuery({
    queryKey: ["data", project, "look"],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/look", { params: { path: { project } } })),
    refetchInterval: (query) => (isLooking(query.state.data) ? FOLLOW_MS : false),
  });
  const run = isLooking(look.data) ? look.data?.run?.id : undefined;
  const story: RunStory = useRunStory(run);
  const done = story.steps.filter((step) => step.ended !== null).length;
  const ended = story.ended !== null;
  useEffect(() => {
    if (done) void queries.invalidateQueries({ queryKey: ["data", project, "look"] });
  }, [done, project, queries]);
  useEffect(() => {
    if (ended) void queries.invalidateQueries({ queryKey: ["data", project] });
  }, [ended, project, queries]);
  return { look, story };
}

export interface Assumptions {
  risk: number | null;
  requests: number;
  model: string;
  machine: number;
}

/** What the first answer would save a month under these assumptions. */
export function useSaving(project: string, version: number | null, { risk, requests, model, machine }: Assumptions, enabled: boolean) {
  const query = { requests, machine_usd_per_hour: machine, ...(risk === null ? {} : { risk }), ...(model ? { model } : {}) };
  return useQuery({
    enabled,
    queryKey: ["saving", project, version, query],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/look/saving", { params: { path: { project }, query } })),
    placeholderData: keepPreviousData,
  });
}

/** What the newest look found, with the places that still hold. */
export function useFindings(project: string, most = 200) {
  return useQuery({
    queryKey: ["data", project, "findings", most],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/findings", { params: { path: { project }, query: { most } } })),
    placeholderData: keepPreviousData,
  });
}

/** Keep places as they are, or show them again. */
export function useKeep(project: string) {
  return useDataChange(project, (wanted: { ids: string[]; kept: boolean }) => body(api.POST("/api/v1/projects/{project}/findings/keep", { params: { path: { project } }, body: wanted })));
}

/** Give rows their answers as one new version. */
export function useAnswers(project: string) {
  return useDataChange(project, (answers: components["schemas"]["AnswerEntry"][]) => body(api.POST("/api/v1/projects/{project}/answers", { params: { path: { project } }, body: { answers } })));
}

export const MOST_CHANGES = 200;

/** The rows that differ between two versions, the first ones of many. */
export function useChanges(project: string, older: number, newer: number) {
  return useQuery({
    queryKey: ["changes", project, older, newer],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/versions/{older}/changes/{newer}", { params: { path: { project, older, newer }, query: { limit: MOST_CHANGES } } })),
    staleTime: Infinity, // versions never change
  });
}

/** Look at the newest version of the data. */
export function useLookAgain(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => body(api.POST("/api/v1/projects/{project}/runs", { params: { path: { project } }, body: { kind: "look", request: {} } })),
    onSuccess: () => Promise.all([queries.invalidateQueries({ queryKey: ["data", project, "look"] }), queries.invalidateQueries({ queryKey: ["runs", project] })]),
  });
}

/** Remember something in the project's settings. */
export function useRemember(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (settings: Record<string, unknown>) => body(api.PATCH("/api/v1/projects/{project}", { params: { path: { project } }, body: { settings } })),
    onSuccess: () => Promise.all(["projects", "costs", "saving"].map((name) => queries.invalidateQueries({ queryKey: [name] }))),
  });
}
