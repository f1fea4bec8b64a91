import { expect, it } from "vitest";

import { evenly, linesOf, listFile } from "./lists";

it("takes one text a line, up to a bound", () => {
  expect(linesOf(" a \n\n b\nc", 2)).toEqual([{ text: "a" }, { text: "b" }]);
});

it("spreads a choice over all items", () => {
  expect(evenly([1, 2, 3, 4, 5, 6], 3)).toEqual([1, 3, 5]);
  expect(evenly([1, 2], 9)).toEqual([1, 2]);
});

it("keeps quotes and commas of a pasted list", async () => {
  const file = listFile('say "hi", now\n\nbye', "list");
  expect(file.name).toBe("list.jsonl");
  expect(await file.text()).toBe('{"text":"say \\"hi\\", now"}\n{"text":"bye"}');
});
