import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components } from "../../api/schema";

export type Channels = components["schemas"]["CustomerChannels"];
export type Channel = components["schemas"]["ShownChannel"];
export type Webhook = components["schemas"]["ShownWebhook"];
export type Trial = components["schemas"]["ChannelTrial"];
export type Delivery = components["schemas"]["DeliveryFigures"];
export type DeadLetter = components["schemas"]["DeadLetter"];
export type Widget = components["schemas"]["WidgetSettings"];

const LIVE_MS = 10_000;

function at(project: string) {
  return { params: { path: { project } } };
}

/** Where customers reach the desk; asked again now and then, since messages come and go. */
export function useChannels(project: string) {
  return useQuery({ queryKey: ["channels", project], queryFn: () => body(api.GET("/api/v1/projects/{project}/channels", at(project))), refetchInterval: LIVE_MS });
}

function useChange<V, R>(project: string, change: (value: V) => Promise<R>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () => Promise.all([queries.invalidateQueries({ queryKey: ["channels", project] }), queries.invalidateQueries({ queryKey: ["serving", project] })]),
  });
}

/** Change how the desk stands on sites. */
export function useChangeSite(project: string) {
  return useChange(project, (site: components["schemas"]["SiteChange"]) => body(api.PUT("/api/v1/projects/{project}/site", { ...at(project), body: site })));
}

/** Change a channel. */
export function useChangeChannel(project: string, kind: string) {
  return useChange(project, (channel: components["schemas"]["ChannelChange"]) => body(api.PUT("/api/v1/projects/{project}/channels/{kind}", { params: { path: { project, kind } }, body: channel })));
}

/** Log in at the vendor with a channel's keys. */
export function useTryChannel(project: string, kind: string) {
  return useChange(project, () => body(api.POST("/api/v1/projects/{project}/channels/{kind}/try", { params: { path: { project, kind } } })));
}

/** Tell the vendor the address that messages go to. */
export function useConnectChannel(project: string, kind: string) {
  return useChange(project, () => body(api.POST("/api/v1/projects/{project}/channels/{kind}/connect", { params: { path: { project, kind } } })));
}

/** Change a webhook, or add one. */
export function useChangeWebhook(project: string) {
  return useChange(project, ({ name, ...webhook }: components["schemas"]["WebhookChange"] & { name: string }) => body(api.PUT("/api/v1/projects/{project}/webhooks/{name}", { params: { path: { project, name } }, body: webhook })));
}

/** Send a test event to a webhook. */
export function useTryWebhook(project: string, name: string) {
  return useChange(project, () => body(api.POST("/api/v1/projects/{project}/webhooks/{name}/try", { params: { path: { project, name } } })));
}

/** Forget a webhook. */
export function useDropWebhook(project: string) {
  return useChange(project, (name: string) => body(api.DELETE("/api/v1/projects/{project}/webhooks/{name}", { params: { path: { project, name } } })));
}

/** Choose how people get conversations. */
export function useChangeHandOver(project: string) {
  return useChange(project, (ways: ("mail" | "chatwoot")[]) => body(api.PUT("/api/v1/projects/{project}/hand-over", { ...at(project), body: { ways } })));
}

/** What could not be delivered; `number` makes the list new when there is more or less of it. */
export function useDeadLetters(project: string, number: number) {
  return useQuery({ enabled: number > 0, queryKey: ["channels", project, "dead", number], queryFn: () => body(api.GET("/api/v1/projects/{project}/dead-letters", at(project))) });
}

/** Send a dead letter again, or drop it. */
export function useMoveLetter(project: string) {
  return useChange(project, ({ letter, move }: { letter: string; move: "retry" | "drop" }) => {
    const place = { params: { path: { project, letter } } };
    return move === "retry" ? body(api.POST("/api/v1/projects/{project}/dead-letters/{letter}/retry", place)) : body(api.DELETE("/api/v1/projects/{project}/dead-letters/{letter}", place));
  });
}
