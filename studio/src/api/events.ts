import { useEffect, useReducer } from "react";

import type { Run } from "./queries";

/** A step of a run, as far as it has come. `total` is null where it is not known. */
export interface RunStep {
  name: string;
  began: number;
  ended: number | null;
  done: number;
  total: number | null;
  note: string;
}

/** A figure that a step tells again and again, such as its loss, for a curve. */
export interface RunCurve {
  step: string;
  name: string;
  points: readonly { at: number; value: number }[];
}

/** What a run has told of itself. */
export interface RunStory {
  steps: readonly RunStep[];
  curves: readonly RunCurve[];
  remarks: readonly string[];
  ended: Run | null;
}

interface Told {
  kind: string;
  time: number;
  step?: string;
  total?: number | null;
  done?: number;
  note?: string;
  text?: string;
  facts?: Record<string, number | string>;
}

const EMPTY: RunStory = { steps: [], curves: [], remarks: [], ended: null };
const MOST_POINTS = 2_000;

/** The story with one more event. */
export function withEvent(story: RunStory, told: Told): RunStory {
  const last = story.steps.at(-1);
  switch (told.kind) {
    case "step":
      // A run that was killed and taken up again tells its steps from the start.
      return { ...story, steps: [...story.steps, { name: told.step ?? "", began: told.time, ended: null, done: 0, total: told.total ?? null, note: "" }] };
    case "progress":
      if (!last) return story;
      return { ...story, steps: [...story.steps.slice(0, -1), { ...last, done: told.done ?? last.done, total: told.total ?? last.total }], curves: withPoints(story.curves, told) };
    case "step_done":
      return last ? { ...story, steps: [...story.steps.slice(0, -1), { ...last, ended: told.time, note: told.note ?? "" }] } : story;
    case "remark":
      return { ...story, remarks: [...story.remarks, told.text ?? ""] };
    default:
      return story;
  }
}

function withPoints(curves: readonly RunCurve[], told: Told): readonly RunCurve[] {
  let next = curves;
  for (const [name, value] of Object.entries(told.facts ?? {})) {
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    const point = { at: told.done ?? 0, value };
    const found = next.find((curve) => curve.name === name && curve.step === told.step);
    next = found
      ? next.map((curve) => (curve === found ? { ...curve, points: [...curve.points, point].slice(-MOST_POINTS) } : curve))
      : [...next, { step: told.step ?? "", name, points: [point] }];
  }
  return next;
}

type Action = { told: Told } | { ended: Run } | "again";

function reduce(story: RunStory, action: Action): RunStory {
  if (action === "again") return EMPTY;
  return "ended" in action ? { ...story, ended: action.ended } : withEvent(story, action.told);
}

/** Follow a run: what it has told so far, and what it tells from now on. The browser takes up a broken connection by itself. */
export function useRunStory(run: string | undefined): RunStory {
  const [story, dispatch] = useReducer(reduce, EMPTY);
  useEffect(() => {
    dispatch("again");
    if (!run) return;
    const source = new EventSource(`/api/v1/runs/${run}/events`);
    const tell = (event: MessageEvent<string>) => dispatch({ told: JSON.parse(event.data) as Told });
    for (const kind of ["step", "progress", "step_done", "remark"]) source.addEventListener(kind, tell);
    source.addEventListener("end", (event: MessageEvent<string>) => {
      dispatch({ ended: JSON.parse(event.data) as Run });
      source.close();
    });
    return () => source.close();
  }, [run]);
  return story;
}
