import { expect, test } from "vitest";

import { examplesIn } from "./examples";

test("each line is an example, once, without odd spaces", () => {
  expect(examplesIn(" where is  my order \n\nwhere is my order\nhas it left yet?\r\n")).toEqual(["where is my order", "has it left yet?"]);
  expect(examplesIn(" \n")).toEqual([]);
});
