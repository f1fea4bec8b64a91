import { expect, it } from "vitest";

import { withPreset } from "./presets";

const FAST = { student: { quality: "fast", kind: "kernel" }, compress: { method: "none" } };

it("lays a person's own settings over the preset's", () => {
  expect(withPreset(FAST, {})).toEqual(FAST);
  expect(withPreset(FAST, { student: { kind: "linear" }, gate: { max_loss: 0.02 } })).toEqual({ student: { quality: "fast", kind: "linear" }, compress: { method: "none" }, gate: { max_loss: 0.02 } });
});

it("keeps the preset's kind of model from settings that are meant for another", () => {
  expect(withPreset(FAST, { train: { epochs: 2 } })).toEqual({ student: { quality: "fast" }, compress: { method: "none" }, train: { epochs: 2 } });
});
