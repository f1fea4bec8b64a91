import { useQueries } from "@tanstack/react-query";
import { useEffect, useReducer } from "react";

import { readEvents } from "./eventStream";
import type { Run } from "./queries";

/** A member's place among those of a model: the second of four. */
export interface MemberPart {
  number: number;
  of: number;
}

/** A step of a run, as far as it has come. `total` is null where it is not known. */
export interface RunStep {
  name: string;
  began: number;
  ended: number | null;
  done: number;
  total: number | null;
  note: string;
  /** The role of the member that it builds; empty for a step of the model itself. */
  member: string;
  /** Which member of how many that is; null where it is not told. */
  part: MemberPart | null;
  /** What it tells beside its progress, such as energy, as it stands now. */
  facts: Readonly<Record<string, string>>;
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
  /** The member that is being built. */
  member: string;
  part: MemberPart | null;
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

const EMPTY: RunStory = { steps: [], curves: [], remarks: [], member: "", part: null, ended: null };
/** What a build of several members says as it begins with one, and after the last. */
const MEMBER = /^build the member (\S+)(?: \((\d+) of (\d+)\))?: |^the members are built$/;
const MOST_POINTS = 2_000;

/** The story with one more event. */
export function withEvent(story: RunStory, told: Told): RunStory {
  const last = story.steps.at(-1);
  switch (told.kind) {
    case "begin": // a run that is taken up again tells its steps from the start
      return EMPTY;
    case "step": // a step that begins again, with its size known, is one step
      return { ...story, steps: [...closed(story.steps, told), { name: told.step ?? "", began: told.time, ended: null, done: 0, total: told.total ?? null, note: "", member: story.member, part: story.part, facts: {} }] };
    case "progress":
      if (!last) return story;
      return { ...story, steps: [...story.steps.slice(0, -1), { ...last, done: told.done ?? last.done, total: told.total ?? last.total, facts: { ...last.facts, ...words(told) } }], curves: withPoints(story.curves, told) };
    case "step_done":
      return last ? { ...story, steps: [...story.steps.slice(0, -1), { ...last, ended: told.time, note: told.note ?? "" }] } : story;
    case "remark": {
      const member = MEMBER.exec(told.text ?? "");
      if (member) return { ...story, member: member[1] ?? "", part: member[2] && member[3] ? { number: Number(member[2]), of: Number(member[3]) } : null };
      return { ...story, remarks: [...story.remarks, told.text ?? ""] };
    }
    default:
      return story;
  }
}

/** The steps before a new one: an unfinished one of the same name is left out, of another name it has ended. */
function closed(steps: readonly RunStep[], told: Told): readonly RunStep[] {
  const last = steps.at(-1);
  if (!last || last.ended !== null) return steps;
  const before = steps.slice(0, -1);
  return last.name === told.step ? before : [...before, { ...last, ended: told.time }];
}

function words(told: Told): Record<string, string> {
  return Object.fromEntries(Object.entries(told.facts ?? {}).filter((fact): fact is [string, string] => typeof fact[1] === "string"));
}

/** Seconds until a step is done, by its pace so far; null where that is not known yet. */
export function secondsLeft(step: RunStep, now: number): number | null {
  if (step.ended !== null || !step.total || step.done <= 0 || now - step.began < 2) return null;
  return Math.max(0, ((now - step.began) * (step.total - step.done)) / step.done);
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
    for (const kind of ["begin", "step", "progress", "step_done", "remark"]) source.addEventListener(kind, tell);
    source.addEventListener("end", (event: MessageEvent<string>) => {
      dispatch({ ended: JSON.parse(event.data) as Run });
      source.close();
    });
    return () => source.close();
  }, [run]);
  return story;
}

/** What finished runs have told, in their order; undefined for one that is not read yet. */
export function useRunStories(runs: readonly string[]): readonly (RunStory | undefined)[] {
  return useQueries({ queries: runs.map((run) => ({ queryKey: ["story", run], staleTime: Infinity, queryFn: () => readStory(run) })) }).map((found) => found.data);
}

async function readStory(run: string): Promise<RunStory> {
  const response = await fetch(`/api/v1/runs/${run}/events`);
  let story = EMPTY;
  if (!response.ok || !response.body) return story;
  for await (const { event, data } of readEvents(response.body)) {
    if (event === "end") return { ...story, ended: data as Run };
    story = withEvent(story, data as Told);
  }
  return story;
}
