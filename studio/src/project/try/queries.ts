import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { api, ApiError, body, type ErrorParts } from "../../api/client";
import type { components } from "../../api/schema";
import { readEvents } from "../../api/eventStream";

export type Answering = components["schemas"]["AnsweringFacts"];
export type Answer = components["schemas"]["TriedAnswer"];
export type TriedText = components["schemas"]["TriedText"];
export type Correction = components["schemas"]["CorrectionRequest"];

/** What can be tried with a model. */
export function useAnswering(project: string, model: string) {
  return useQuery({
    queryKey: ["answering", project, model],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/models/{model}/answering", { params: { path: { project, model } } })),
  });
}

/** A model's answers to texts, in order. */
export function answerTexts(project: string, model: string, texts: TriedText[], explain = false, language = ""): Promise<Answer[]> {
  return body(api.POST("/api/v1/projects/{project}/models/{model}/answer", { params: { path: { project, model } }, body: { texts, explain, language } }));
}

/** The answer to one text, with the words that mattered; the answer before stays until it is there. */
export function useAnswer(project: string, model: string, text: TriedText, enabled: boolean) {
  return useQuery({
    enabled,
    queryKey: ["answer", project, model, text.text, text.second],
    queryFn: async () => (await answerTexts(project, model, [text], true))[0] as Answer,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    gcTime: 60_000,
  });
}

export interface Written {
  text: string;
  tokens: number;
  seconds: number;
}

/** Follow a text while it is written; the whole answer at its end. Throws ApiError where it cannot be written. */
export async function writeAnswer(project: string, model: string, text: TriedText, onPiece: (piece: Written) => void, signal: AbortSignal): Promise<Answer> {
  const response = await fetch(`/api/v1/projects/${project}/models/${model}/stream`, { method: "POST", headers: { "X-Studio-Page": "1", "Content-Type": "application/json" }, body: JSON.stringify(text), signal });
  if (!response.ok || !response.body) throw new ApiError(response.status, { message: response.statusText });
  for await (const { event, data } of readEvents(response.body)) {
    if (event === "piece") onPiece(data as Written);
    if (event === "answer") return data as Answer;
    if (event === "failed") throw new ApiError(409, data as ErrorParts);
  }
  throw new ApiError(0, { message: "offline" });
}

/** Put the right answer into the data. */
export function useCorrect(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (correction: Correction) => body(api.POST("/api/v1/projects/{project}/corrections", { params: { path: { project } }, body: correction })),
    onSuccess: () => Promise.all([queries.invalidateQueries({ queryKey: ["data", project] }), queries.invalidateQueries({ queryKey: ["projects"] })]),
  });
}

export type Large = Omit<components["schemas"]["LargeRequest"], "texts">;

/** What is compared in one column: an answer, or why there is none. */
export interface Side {
  output: unknown;
  text: string;
  score: number | null;
  seconds: number;
  whyNot: string;
}

/** A model's answers as one column of a comparison. */
export async function modelSide(project: string, model: string, texts: TriedText[]): Promise<Side[]> {
  const answers = await answerTexts(project, model, texts);
  return answers.map(({ output, text, score, seconds }) => ({ output, text, score, seconds, whyNot: "" }));
}

/** A large model's answers as one column of a comparison. The key goes to its server by way of ours, and is kept nowhere. */
export async function largeSide(project: string, model: string, texts: TriedText[], large: Large): Promise<Side[]> {
  const answers = await body(api.POST("/api/v1/projects/{project}/models/{model}/large", { params: { path: { project, model } }, body: { ...large, texts } }));
  return answers.map(({ output, text, seconds, why_not }) => ({ output, text, score: null, seconds, whyNot: why_not }));
}

/** The first rows of an answered file; an error where they are not kept any more. */
export function useAnsweredRows(project: string, run: string) {
  return useQuery({
    queryKey: ["answered", run],
    retry: false,
    queryFn: async () => (await body(api.GET("/api/v1/projects/{project}/answer-files/{run}", { params: { path: { project, run }, query: { limit: 50 } } }))).rows,
  });
}

/** Delete an answered file from the machine. */
export function useForgetAnswers(project: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (run: string) => body(api.DELETE("/api/v1/projects/{project}/answer-files/{run}", { params: { path: { project, run } } })),
    onSuccess: (_, run) => queries.resetQueries({ queryKey: ["answered", run] }),
  });
}
