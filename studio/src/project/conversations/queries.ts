import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import type { components, paths } from "../../api/schema";

export type Head = components["schemas"]["ConversationHead"];
export type Talk = components["schemas"]["ShownConversation"];
export type TalkTurn = components["schemas"]["ShownTurn"];
export type TalkReply = components["schemas"]["ShownReply"];
export type LoggedCall = components["schemas"]["ShownLoggedCall"];
export type Status = Talk["status"];
export type DeskFigures = components["schemas"]["DeskReport"];
export type Correction = components["schemas"]["DeskCorrection"];
export type Judgement = components["schemas"]["TurnJudgement"];
export type Decision = components["schemas"]["CorrectionDecisionBody"];
type Choice = NonNullable<paths["/api/v1/projects/{project}/conversations"]["get"]["parameters"]["query"]>;

export const TALKS_PER_PAGE = 30;
export const CORRECTIONS_PER_PAGE = 20;
const LIVE_MS = 5_000;
const WAITING_MS = 15_000;
const OPEN_MS = 3_000;

function at(project: string) {
  return { params: { path: { project } } };
}

export interface TalkQuery {
  outcome: string | null;
  channel: string | null;
  status: string | null;
  thumb: string | null;
  text: string;
  page: number;
}

/** Conversations, the last changed first. */
export function useTalks(project: string, { page, text, outcome, channel, status, thumb }: TalkQuery) {
  const chosen = Object.fromEntries(Object.entries({ outcome, channel, status, thumb, text }).filter(([, value]) => value)) as Choice;
  const query: Choice = { ...chosen, offset: page * TALKS_PER_PAGE, limit: TALKS_PER_PAGE };
  return useQuery({
    queryKey: ["talks", project, query],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/conversations", { params: { path: { project }, query } })),
    refetchInterval: LIVE_MS,
    placeholderData: (before) => before,
  });
}

/** How many conversations wait for a person, kept up to date. */
export function useWaiting(project: string, enabled: boolean) {
  return useQuery({
    queryKey: ["talks", project, "waiting"],
    enabled,
    queryFn: () => body(api.GET("/api/v1/projects/{project}/conversations", { params: { path: { project }, query: { limit: 1 } } })),
    select: (found) => found.waiting,
    refetchInterval: WAITING_MS,
  });
}

/** One conversation, kept up to date while it is open. */
export function useTalk(project: string, conversation: string) {
  return useQuery({
    queryKey: ["talk", project, conversation],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/conversations/{conversation}", { params: { path: { project, conversation } } })),
    refetchInterval: OPEN_MS,
  });
}

function useTalkChange<V>(project: string, conversation: string, change: (value: V) => Promise<Talk>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: (talk) => {
      queries.setQueryData(["talk", project, conversation], talk);
      return Promise.all([queries.invalidateQueries({ queryKey: ["talks", project] }), queries.invalidateQueries({ queryKey: ["corrections", project] })]);
    },
  });
}

/** Answer the customer as a person. */
export function useReply(project: string, conversation: string) {
  return useTalkChange(project, conversation, (reply: { text: string; after: Status }) => body(api.POST("/api/v1/projects/{project}/conversations/{conversation}/reply", { params: { path: { project, conversation } }, body: reply })));
}

/** Say who answers next. */
export function useMoveTalk(project: string, conversation: string) {
  return useTalkChange(project, conversation, (status: Status) => body(api.POST("/api/v1/projects/{project}/conversations/{conversation}/status", { params: { path: { project, conversation } }, body: { status } })));
}

/** Delete a conversation for good. */
export function useForgetTalk(project: string, conversation: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => body(api.DELETE("/api/v1/projects/{project}/conversations/{conversation}", { params: { path: { project, conversation } } })),
    onSuccess: () => Promise.all([queries.invalidateQueries({ queryKey: ["talks", project] }), queries.invalidateQueries({ queryKey: ["corrections", project] })]),
  });
}

/** Say what the desk should have done. */
export function useJudge(project: string, conversation: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ turn, ...judgement }: Judgement & { turn: string }) => body(api.POST("/api/v1/projects/{project}/conversations/{conversation}/turns/{turn}/correction", { params: { path: { project, conversation, turn } }, body: judgement })),
    onSuccess: () => Promise.all([queries.invalidateQueries({ queryKey: ["corrections", project] }), queries.invalidateQueries({ queryKey: ["talk", project, conversation] })]),
  });
}

/** Words of the documents that may answer a text. */
export function useQuotes(project: string, text: string, enabled: boolean) {
  return useQuery({ enabled, queryKey: ["quotes", project, text], queryFn: () => body(api.GET("/api/v1/projects/{project}/quotes", { params: { path: { project }, query: { text } } })) });
}

/** Corrections in a state. */
export function useCorrections(project: string, state: Correction["state"], page: number) {
  const query = { state, offset: page * CORRECTIONS_PER_PAGE, limit: CORRECTIONS_PER_PAGE };
  return useQuery({ queryKey: ["corrections", project, query], queryFn: () => body(api.GET("/api/v1/projects/{project}/corrections", { params: { path: { project }, query } })), placeholderData: (before) => before });
}

/** Approve, reject or reopen a correction. */
export function useDecide(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ correction, ...decision }: Decision & { correction: string }) => body(api.POST("/api/v1/projects/{project}/corrections/{correction}", { params: { path: { project, correction } }, body: decision })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["corrections", project] }),
  });
}

/** Add approved corrections to the files that the desk learns from. */
export function useLearnCorrections(project: string) {
  return useMutation({ mutationFn: () => body(api.POST("/api/v1/projects/{project}/corrections/add", at(project))) });
}

/** Figures of the last days. */
export function useDeskFigures(project: string, days: number, enabled: boolean) {
  return useQuery({
    enabled,
    queryKey: ["desk-figures", project, days],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/desk-figures", { params: { path: { project }, query: { days } } })),
    refetchInterval: LIVE_MS,
  });
}
