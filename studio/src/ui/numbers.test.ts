import { expect, it } from "vitest";

import { asTyped, fits, typedNumber } from "./numbers";

it("reads a comma and a point alike, and nothing that is no number", () => {
  expect(["0.28", "0,28", " 5 ", "5,", ".5", "-1"].map(typedNumber)).toEqual([0.28, 0.28, 5, 5, 0.5, -1]);
  expect(["", " ", "a", "1.000,5", "1,5,2", "0x10", "1e9", "Infinity"].map(typedNumber)).toEqual(Array(8).fill(null));
});

it("writes a number as it is typed, and so that it is read back", () => {
  expect([asTyped(0.0025, "en"), asTyped(0.28, "de"), asTyped(1_000_000, "de")]).toEqual(["0.0025", "0,28", "1000000"]);
  expect(typedNumber(asTyped(1234.5, "de"))).toBe(1234.5);
});

it("takes what lies within the bounds", () => {
  const share = { least: 0, most: 1 };
  expect([0, 1, 1.01, -0.1, Number.NaN].map((value) => fits(value, share))).toEqual([true, true, false, false, false]);
  expect(fits(7.5, { least: 1, most: 60, whole: true })).toBe(false);
});
