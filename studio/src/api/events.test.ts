import { describe, expect, it } from "vitest";

import { type RunStory, withEvent } from "./events";

const EMPTY: RunStory = { steps: [], curves: [], remarks: [], ended: null };

describe("withEvent", () => {
  it("follows a step from its beginning to its end", () => {
    const told = [
      { kind: "step", time: 10, step: "train", total: 4 },
      { kind: "progress", time: 11, step: "train", done: 2, total: 4, facts: { loss: 0.5, unit: "rows" } },
      { kind: "progress", time: 12, step: "train", done: 4, total: 4, facts: { loss: 0.25 } },
      { kind: "step_done", time: 13, note: "91 %" },
    ];
    const story = told.reduce(withEvent, EMPTY);
    expect(story.steps).toEqual([{ name: "train", began: 10, ended: 13, done: 4, total: 4, note: "91 %" }]);
    expect(story.curves).toEqual([{ step: "train", name: "loss", points: [{ at: 2, value: 0.5 }, { at: 4, value: 0.25 }] }]);
  });

  it("keeps remarks, and ignores progress before any step", () => {
    const story = [{ kind: "progress", time: 1, done: 1 }, { kind: "remark", time: 2, text: "a note" }].reduce(withEvent, EMPTY);
    expect(story).toEqual({ ...EMPTY, remarks: ["a note"] });
  });
});
