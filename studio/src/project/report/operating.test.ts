import { expect, it } from "vitest";

import { amount, cheapestPlace, costPerThousand, passingOnIsCheaper, placeOf } from "./operating";

function point(threshold: number, coverage: number, risk: number) {
  return { threshold, coverage, risk, risk_low: risk / 2, risk_high: risk * 2 };
}

const CURVE = [point(0.95, 0.4, 0), point(0.8, 0.7, 0.01), point(0.5, 0.9, 0.05), point(0.1, 1, 0.1)];

it("counts wrong answers among the answered ones, and those that are passed on", () => {
  // Of 1000 requests 900 are answered, 45 of them wrong; 100 are passed on.
  expect(costPerThousand({ coverage: 0.9, risk: 0.05 }, { wrong: 2, escalated: 0.5 })).toBeCloseTo(45 * 2 + 100 * 0.5);
});

it("answers everything where mistakes are free, and little where they are dear", () => {
  expect(cheapestPlace(CURVE, { wrong: 0, escalated: 1 })).toBe(3);
  expect(cheapestPlace(CURVE, { wrong: 1000, escalated: 1 })).toBe(0);
  expect(cheapestPlace(CURVE, { wrong: 10, escalated: 1 })).toBe(1);
});

it("takes the point that answers most where all cost the same, and none of no points", () => {
  expect(cheapestPlace(CURVE, { wrong: 0, escalated: 0 })).toBe(3);
  expect(cheapestPlace([], { wrong: 1, escalated: 1 })).toBeNull();
});

it("says where passing everything on costs less", () => {
  const bad = [point(0.5, 0.5, 0.6), point(0.1, 1, 0.5)];
  expect(passingOnIsCheaper(bad, { wrong: 10, escalated: 1 })).toBe(true);
  expect(passingOnIsCheaper(CURVE, { wrong: 10, escalated: 1 })).toBe(false);
});

it("finds the point of a threshold", () => {
  expect(placeOf(CURVE, 0.8)).toBe(1);
  expect(placeOf(CURVE, 0.52)).toBe(2);
});

it("reads amounts as people type them", () => {
  expect([amount("2.50"), amount("2,50"), amount(" 3 ")]).toEqual([2.5, 2.5, 3]);
  expect([amount(""), amount("-1"), amount("much"), amount("Infinity")]).toEqual([null, null, null, null]);
});
