import { describe, expect, it } from "vitest";

import { type RunStory, secondsLeft, withEvent } from "./events";

const EMPTY: RunStory = { steps: [], curves: [], remarks: [], member: "", part: null, ended: null };

describe("withEvent", () => {
  it("follows a step from its beginning to its end", () => {
    const told = [
      { kind: "step", time: 10, step: "train", total: 4 },
      { kind: "progress", time: 11, step: "train", done: 2, total: 4, facts: { loss: 0.5, unit: "rows" } },
      { kind: "progress", time: 12, step: "train", done: 4, total: 4, facts: { loss: 0.25 } },
      { kind: "step_done", time: 13, note: "91 %" },
    ];
    const story = told.reduce(withEvent, EMPTY);
    expect(story.steps).toEqual([{ name: "train", began: 10, ended: 13, done: 4, total: 4, note: "91 %", member: "", part: null, facts: { unit: "rows" } }]);
    expect(story.curves).toEqual([{ step: "train", name: "loss", points: [{ at: 2, value: 0.5 }, { at: 4, value: 0.25 }] }]);
  });

  it("keeps remarks, and ignores progress before any step", () => {
    const story = [{ kind: "progress", time: 1, done: 1 }, { kind: "remark", time: 2, text: "a note" }].reduce(withEvent, EMPTY);
    expect(story).toEqual({ ...EMPTY, remarks: ["a note"] });
  });

  it("knows the member that a step builds", () => {
    const told = [
      { kind: "remark", time: 1, text: "build the member answer (2 of 4): answer" },
      { kind: "step", time: 2, step: "train" },
      { kind: "remark", time: 3, text: "the members are built" },
      { kind: "step", time: 4, step: "report" },
    ];
    const story = told.reduce(withEvent, EMPTY);
    expect(story.steps.map((step) => step.member)).toEqual(["answer", ""]);
    expect(story.steps[0]?.part).toEqual({ number: 2, of: 4 });
    expect(story.remarks).toEqual([]);
  });

  it("forgets what was told before the run was taken up again", () => {
    const told = [{ kind: "begin", time: 0 }, { kind: "step", time: 1, step: "read" }, { kind: "step", time: 2, step: "train" }, { kind: "begin", time: 8 }, { kind: "step", time: 9, step: "read" }];
    expect(told.reduce(withEvent, EMPTY).steps.map((step) => [step.name, step.began])).toEqual([["read", 9]]);
  });

  it("joins a step that begins again, and ends one that another follows", () => {
    const told = [
      { kind: "step", time: 1, step: "train" },
      { kind: "step", time: 2, step: "train", total: 9 },
      { kind: "step", time: 5, step: "export" },
    ];
    const steps = told.reduce(withEvent, EMPTY).steps;
    expect(steps.map((step) => [step.name, step.began, step.ended, step.total])).toEqual([
      ["train", 2, 5, 9],
      ["export", 5, null, null],
    ]);
  });

  it("foretells the rest of a step by its pace", () => {
    const step = { name: "train", began: 100, ended: null, done: 25, total: 100, note: "", member: "", part: null, facts: {} };
    expect(secondsLeft(step, 110)).toBe(30);
    expect(secondsLeft({ ...step, done: 0 }, 110)).toBeNull();
    expect(secondsLeft({ ...step, total: null }, 110)).toBeNull();
  });
});
