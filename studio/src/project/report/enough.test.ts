import { expect, it } from "vitest";

import { lacking } from "./enough";

it("has no figure on a few messages of conversations, and one on few rows of a table", () => {
  expect([lacking("outcome_right", 3), lacking("outcome_right", 29), lacking("outcome_right", 30), lacking("accuracy", 3)]).toEqual([27, 1, 0, 0]);
});
