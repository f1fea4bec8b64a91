import { expect, it } from "vitest";

import { differing, sideBySide } from "./curves";

const curve = (values: readonly number[], name = "loss") => ({ step: "train", name, points: values.map((value, place) => ({ at: place + 1, value })) });

it("draws builds of different lengths over the same axis", () => {
  const found = sideBySide(
    [
      { label: "Build 1", curves: [curve([3, 2, 1, 0.5]), curve([9, 9, 9, 9], "tokens/s")] },
      { label: "Build 2", curves: [curve([4, 4]), curve([4, 3, 2, 1, 1, 1, 1, 1])] },
    ],
    "loss",
  );
  expect(found?.x).toEqual([12.5, 25, 37.5, 50, 62.5, 75, 87.5, 100]);
  expect(found?.lines[0]).toEqual({ label: "Build 1", values: [null, 3, null, 2, null, 1, null, 0.5] });
  expect(found?.lines[1]?.values[0]).toBe(4);
});

it("draws nothing where there is only one curve to show", () => {
  expect(sideBySide([{ label: "Build 1", curves: [curve([3, 2, 1])] }, { label: "Build 2", curves: [] }], "loss")).toBeNull();
});

it("tells only the settings that differ", () => {
  const found = differing([
    { student: { quality: "fast", kind: "linear" }, gate: { max_loss: 0.02 } },
    { student: { quality: "fast" }, gate: { max_loss: 0.02 }, "data.teacher": { model: "a" } },
  ]);
  expect(found).toEqual([
    { section: "data.teacher", name: "model", values: [null, "a"] },
    { section: "student", name: "kind", values: ["linear", null] },
  ]);
});
