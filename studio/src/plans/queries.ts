import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body, fileBody } from "../api/client";
import type { components } from "../api/schema";

export type Solver = components["schemas"]["OfferedSolver"];
export type Plan = components["schemas"]["ShownPlan"];
export type PlanCard = components["schemas"]["PlanCard"];
export type PlanTable = components["schemas"]["PlanTable"];
export type Solved = components["schemas"]["PlanSolution"];
export type Proposal = components["schemas"]["UnderstoodChange"];

/** The kinds of problems that a library solves. */
export function useSolvers() {
  return useQuery({ queryKey: ["solvers"], queryFn: () => body(api.GET("/api/v1/solvers")), staleTime: Infinity });
}

/** All plans, the last changed first. */
export function usePlans() {
  return useQuery({ queryKey: ["plans"], queryFn: () => body(api.GET("/api/v1/plans")) });
}

/** One plan. */
export function usePlan(plan: string) {
  return useQuery({ queryKey: ["plans", plan], queryFn: () => body(api.GET("/api/v1/plans/{plan}", { params: { path: { plan } } })) });
}

/** Make a plan. */
export function useNewPlan() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wanted: components["schemas"]["NewPlan"]) => body(api.POST("/api/v1/plans", { body: wanted })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["plans"] }),
  });
}

/** Delete a plan. */
export function useDeletePlan() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (plan: string) => body(api.DELETE("/api/v1/plans/{plan}", { params: { path: { plan } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["plans"] }),
  });
}

/** A change of a plan, which answers with the plan as it is then. */
function usePlanChange<Wanted>(plan: string, change: (wanted: Wanted) => Promise<Plan>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: async (now) => {
      queries.setQueryData(["plans", plan], now);
      await queries.invalidateQueries({ queryKey: ["plans"], exact: true });
    },
  });
}

/** Send a table of a plan. */
export function useSendTable(plan: string) {
  return usePlanChange(plan, ({ setting, file }: { setting: string; file: File }) =>
    body(api.POST("/api/v1/plans/{plan}/tables/{setting}/uploads", { params: { path: { plan, setting }, query: { name: file.name } }, ...fileBody(file) })),
  );
}

/** Take a table of a plan away. */
export function useRemoveTable(plan: string) {
  return usePlanChange(plan, (setting: string) => body(api.DELETE("/api/v1/plans/{plan}/tables/{setting}", { params: { path: { plan, setting } } })));
}

/** Replace a plan's settings. */
export function useChangeSettings(plan: string) {
  return usePlanChange(plan, (settings: components["schemas"]["PlanSettings"]) => body(api.PUT("/api/v1/plans/{plan}/settings", { params: { path: { plan } }, body: settings })));
}

/** Solve a plan, with the changes made so far or without them. */
export function useSolve(plan: string) {
  return usePlanChange(plan, (changes: "keep" | "forget") => body(api.POST("/api/v1/plans/{plan}/solve", { params: { path: { plan }, query: { changes } } })));
}

/** Understand a change; nothing is changed. */
export function usePropose(plan: string) {
  return useMutation({
    mutationFn: (wanted: components["schemas"]["WantedChange"]) => body(api.POST("/api/v1/plans/{plan}/proposals", { params: { path: { plan } }, body: wanted })),
  });
}

/** Make a change that was confirmed, and solve the plan again. */
export function useConfirm(plan: string) {
  return usePlanChange(plan, (wanted: components["schemas"]["ConfirmedChange"]) => body(api.POST("/api/v1/plans/{plan}/changes", { params: { path: { plan } }, body: wanted })));
}

/** The address of a file of a plan's last solution; `at` changes with each solution. */
export function fileAddress(plan: string, name: string, at = ""): string {
  return `/api/v1/plans/${plan}/files/${encodeURIComponent(name)}${at && `?at=${encodeURIComponent(at)}`}`;
}
