import { expect, it } from "vitest";

import type { Run } from "../../api/queries";
import { lastTime, withPreset } from "./presets";

const FAST = { student: { quality: "fast", kind: "kernel" }, compress: { method: "none" } };

it("lays a person's own settings over the preset's", () => {
  expect(withPreset(FAST, {})).toEqual(FAST);
  expect(withPreset(FAST, { student: { kind: "linear" }, gate: { max_loss: 0.02 } })).toEqual({ student: { quality: "fast", kind: "linear" }, compress: { method: "none" }, gate: { max_loss: 0.02 } });
});

it("keeps the preset's kind of model from settings that are meant for another", () => {
  expect(withPreset(FAST, { train: { epochs: 2 } })).toEqual({ student: { quality: "fast" }, compress: { method: "none" }, train: { epochs: 2 } });
});

function build(queued: number, took: number, more: Partial<Run> = {}): Run {
  return { kind: "build", state: "done", queued, started: queued, ended: queued + took, request: { preset: "fast", own: {} }, result: { report: { training: { seconds: 40 } } }, ...more } as Run;
}

it("tells how long the newest build of a preset took, if nothing else was changed and it went through at once", () => {
  const runs = [build(1, 50), build(2, 60), build(3, 90, { state: "failed" }), build(4, 90, { request: { preset: "best", own: {} } }), build(5, 90, { request: { preset: "fast", own: { train: { epochs: 2 } } } })];
  expect(lastTime(runs, "fast")).toBe(60);
  expect(lastTime(runs, "balanced")).toBeNull();
  expect(lastTime([...runs, build(6, 30)], "fast")).toBeNull();
});
