import { describe, expect, it } from "vitest";

import type { FirstAnswer } from "./queries";
import { rowsMissing } from "./rowsMissing";

function answer(needed: Record<number, number | null>, measured = 100): FirstAnswer {
  const points = Object.entries(needed).map(([risk, rows]) => ({ risk: Number(risk), coverage: 0, wrong: 0, threshold: null, needed: rows }));
  return { on: "rows", measured, labels: 3, accuracy: { value: 0.6, low: 0.5, high: 0.7 }, points, curve: [], confidence: 0.9, tokens_in: 0, tokens_out: 0 };
}

describe("rows that are missing for a promise", () => {
  it("are those of the limit that takes fewest, in round figures", () => {
    expect(rowsMissing(answer({ 0.01: 160, 0.03: 990, 0.05: 561, 0.1: 340 }), 0.2)).toEqual({ rows: 300, promise: 0.1 });
    expect(rowsMissing(answer({ 0.1: 137 }), 1)).toEqual({ rows: 40, promise: 0.1 });
  });
  it("are not told where no number would do, or the limit is reached", () => {
    expect(rowsMissing(answer({ 0.03: null, 0.05: null, 0.1: null }), 1)).toBeNull();
    expect(rowsMissing(answer({ 0.1: 500 }), 0.1)).toBeNull();
    expect(rowsMissing(answer({ 0.05: 222_343 }), 1)).toBeNull();
  });
});
