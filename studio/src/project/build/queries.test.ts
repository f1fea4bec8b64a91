import { expect, it } from "vitest";

import { errorsOf, withSetting } from "./queries";

it("changes one setting, and takes it away again", () => {
  const changed = withSetting({ student: { kind: "linear" } }, "gate", "max_loss", 0.02);
  expect(changed).toEqual({ student: { kind: "linear" }, gate: { max_loss: 0.02 } });
  expect(withSetting(changed, "gate", "max_loss", undefined)).toEqual({ student: { kind: "linear" } });
  expect(withSetting(changed, "student", "max_size_mb", 9)).toEqual({ student: { kind: "linear", max_size_mb: 9 }, gate: { max_loss: 0.02 } });
});

it("finds a section's messages by their settings", () => {
  const mistakes = [
    { place: "gate.max_loss", message: "Too large." },
    { place: "train.layers.0", message: "Not a number." },
    { place: "", message: "Elsewhere." },
  ];
  expect(errorsOf(mistakes, "gate")).toEqual({ max_loss: "Too large." });
  expect(errorsOf(mistakes, "train")).toEqual({ layers: "Not a number." });
});
