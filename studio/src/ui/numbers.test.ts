import { expect, it } from "vitest";

import { asTyped, fits, typedNumber } from "./numbers";

it("reads a comma and a point alike, and nothing that is no number", () => {
  expect(["0.28", "0,28", " 5 ", "5,", ".5", "-1"].map((text) => typedNumber(text, "en"))).toEqual([0.28, 0.28, 5, 5, 0.5, -1]);
  expect(["", " ", "a", "1.000,5", "1,5,2", "1,000,5", "0x10", "1e9", "Infinity"].map((text) => typedNumber(text, "en"))).toEqual(Array(9).fill(null));
});

it("takes the language's own thousands for thousands, not for decimals", () => {
  expect(["10,000", "1,250,000", "1,250.5", "0,125", "0.125", "1.125"].map((text) => typedNumber(text, "en"))).toEqual([10_000, 1_250_000, 1250.5, 0.125, 0.125, 1.125]);
  expect(["10.000", "1.250.000", "1.250,5", "0.125", "0,125", "1,125"].map((text) => typedNumber(text, "de"))).toEqual([10_000, 1_250_000, 1250.5, 0.125, 0.125, 1.125]);
});

it("writes a number as it is typed, and so that it is read back", () => {
  expect([asTyped(0.0025, "en"), asTyped(0.28, "de"), asTyped(1_000_000, "de")]).toEqual(["0.0025", "0,28", "1000000"]);
  expect(typedNumber(asTyped(1234.5, "de"), "de")).toBe(1234.5);
});

it("takes what lies within the bounds", () => {
  const share = { least: 0, most: 1 };
  expect([0, 1, 1.01, -0.1, Number.NaN].map((value) => fits(value, share))).toEqual([true, true, false, false, false]);
  expect(fits(7.5, { least: 1, most: 60, whole: true })).toBe(false);
});
