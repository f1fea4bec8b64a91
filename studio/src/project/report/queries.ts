import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";

export type ReportView = components["schemas"]["BuiltModel"];
export type Report = components["schemas"]["Report"];
export type Answer = components["schemas"]["TestedAnswer"];
export type Comparison = components["schemas"]["ModelComparison"];
export type Measured = components["schemas"]["Measured"];
export type Alternative = components["schemas"]["BuildAlternative"];

/** A model's report. */
export function useReport(project: string, model: string) {
  return useQuery({ enabled: model !== "", queryKey: ["report", project, model], staleTime: Infinity, queryFn: () => body(api.GET("/api/v1/projects/{project}/models/{model}", { params: { path: { project, model } } })) });
}

/** Which labels the model mistakes for which; null for answers that are not single labels. */
export function useConfusion(project: string, model: string, enabled: boolean) {
  return useQuery({ enabled, queryKey: ["report", project, model, "confusion"], staleTime: Infinity, queryFn: () => body(api.GET("/api/v1/projects/{project}/models/{model}/confusion", { params: { path: { project, model } } })) });
}

export interface AnswerFilter {
  wanted?: string;
  answer?: string;
  wrong?: boolean;
}

/** Test rows with the model's answers. Asked again when the data change, since they show the rows as they are now. */
export function useAnswers(project: string, model: string, where: AnswerFilter, limit: number, enabled = true) {
  return useQuery({
    enabled,
    placeholderData: keepPreviousData,
    queryKey: ["data", project, "answers", model, where, limit],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/models/{model}/answers", { params: { path: { project, model }, query: { ...where, limit } } })),
  });
}

/** A model beside an earlier one; without `earlier`, beside the one built before it. */
export function useChanges(project: string, model: string, earlier?: string) {
  return useQuery({
    queryKey: ["report", project, model, "changes", earlier ?? ""],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/models/{model}/changes", { params: { path: { project, model }, query: earlier === undefined ? {} : { earlier } } })),
  });
}

/** Store the operating point in the project's settings. */
export function useChoosePoint(project: string, model: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (point: components["schemas"]["OperatingPointChoice"]) => body(api.POST("/api/v1/projects/{project}/models/{model}/operating-point", { params: { path: { project, model } }, body: point })),
    onSuccess: () => Promise.all(["projects", "answering", "costs", "saving", "serving", "look"].map((name) => queries.invalidateQueries({ queryKey: [name] }))),
  });
}
