import { expect, it } from "vitest";

import { canAdd, toggled } from "./columns";

const COLUMNS = ["name", "colour", "price", "description"];

it("keeps the file's order of the columns that a text is written from", () => {
  expect(toggled(["price"], "name", COLUMNS)).toEqual(["name", "price"]);
  expect(toggled(["name", "price"], "name", COLUMNS)).toEqual(["price"]);
});

it("adds nothing without a text, nor a text that is its own answer", () => {
  expect(canAdd(["name", "colour"], ["description"])).toBe(true);
  expect(canAdd(["name"], [])).toBe(true);
  expect([canAdd([], ["description"]), canAdd([""], ["description"])]).toEqual([false, false]);
  expect(canAdd(["name", "description"], ["description"])).toBe(false);
});
