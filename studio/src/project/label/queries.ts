import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type Dispatch, useCallback, useEffect, useReducer, useRef, useState } from "react";

import { api, body } from "../../api/client";
import { moved, type Move, newSession, type Session, storeAnswers, storedAnswers } from "./session";

const AT_ONCE = 20;
const AFTER_MS = 5_000;
const FEW = 30;
const MOST = 1_000;

/** The next rows to label. */
export function useQueue(project: string, skipped: number) {
  const most = Math.min(MOST, 200 + skipped);
  return useQuery({
    queryKey: ["label-queue", project],
    queryFn: () => body(api.GET("/api/v1/projects/{project}/label-queue", { params: { path: { project }, query: { most } } })),
    staleTime: Infinity,
    gcTime: 0,
  });
}

export interface Labelling {
  session: Session;
  move: Dispatch<Move>;
  queue: ReturnType<typeof useQueue>;
  error: Error | null;
  save: () => void;
}

/** A labelling session whose answers are saved many at a time; what is not saved yet outlives the page. */
export function useLabelling(project: string): Labelling {
  const queries = useQueryClient();
  const [session, move] = useReducer(moved, project, (id) => newSession(storedAnswers(id)));
  const [error, setError] = useState<Error | null>(null);
  const queue = useQueue(project, session.skipped.size);
  const rows = queue.data?.rows;
  useEffect(() => {
    if (rows) move({ kind: "rows", rows });
  }, [rows]);
  useEffect(() => storeAnswers(project, session.pending), [project, session.pending]);

  const latest = useRef(session);
  useEffect(() => {
    latest.current = session;
  });
  const send = useCallback(
    async (leaving: boolean) => {
      const { pending, sending } = latest.current;
      if (!pending.length || sending) return;
      move({ kind: "sending" });
      try {
        await body(api.POST("/api/v1/projects/{project}/answers", { params: { path: { project } }, body: { answers: pending.slice(0, MOST) }, keepalive: leaving }));
        setError(null);
        move({ kind: "sent" });
        void queries.invalidateQueries({ queryKey: ["data", project] });
      } catch (problem) {
        setError(problem as Error);
        move({ kind: "unsent" });
      }
    },
    [project, queries],
  );
  const waiting = session.pending.length - session.sending;
  useEffect(() => {
    if (!waiting) return;
    const timer = window.setTimeout(() => void send(false), waiting >= AT_ONCE && !error ? 0 : AFTER_MS);
    return () => window.clearTimeout(timer);
  }, [waiting, error, send]);
  useEffect(() => {
    const leave = () => document.visibilityState === "hidden" && void send(true);
    document.addEventListener("visibilitychange", leave);
    return () => {
      document.removeEventListener("visibilitychange", leave);
      void send(true);
    };
  }, [send]);

  // More rows are fetched before the last ones are answered, once what was answered is saved.
  const left = session.rows.filter(({ row }) => !session.answered.has(row.key) && !session.skipped.has(row.key)).length;
  const more = (queue.data?.unlabelled ?? 0) + (queue.data?.suspects ?? 0) > session.rows.length;
  const { refetch, isFetching } = queue;
  useEffect(() => {
    if (more && left < FEW && !session.pending.length && !isFetching && session.answered.size) void refetch();
  }, [more, left, session.pending.length, session.answered.size, isFetching, refetch]);
  return { session, move, queue, error, save: () => void send(false) };
}
