import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components, operations } from "../../api/schema";

export type Costs = components["schemas"]["ProjectCosts"];
export type CostQuery = NonNullable<operations["compute_costs_api_v1_projects__project__costs_get"]["parameters"]["query"]>;

/** What a project's model saves. The last figures stay until the next ones are there. */
export function useCosts(project: string, query: CostQuery) {
  return useQuery({
    queryKey: ["costs", project, query],
    queryFn: ({ signal }) => body(api.GET("/api/v1/projects/{project}/costs", { params: { path: { project }, query }, signal })),
    placeholderData: keepPreviousData,
    gcTime: 60_000,
  });
}

/** The large models of the shipped price list. */
export function usePrices() {
  return useQuery({ queryKey: ["prices"], queryFn: () => body(api.GET("/api/v1/prices")), staleTime: Infinity });
}
