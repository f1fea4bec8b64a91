import { expect, it } from "vitest";

import { type Contest, verdictOf } from "./verdict";

const CONTEST: Contest = { better: false, not_worse: false, worse: false };

it("says why a version took over", () => {
  const promoted = { outcome: "promoted", challenger: "a", certificate: { certified: true } } as const;
  expect(verdictOf({ ...promoted, contest: null })).toBe("first");
  expect(verdictOf({ ...promoted, contest: { ...CONTEST, better: true } })).toBe("better");
  expect(verdictOf({ ...promoted, contest: { ...CONTEST, not_worse: true } })).toBe("certified");
});

it("says why the old version stays", () => {
  const kept = { outcome: "kept", challenger: "a", certificate: { certified: false } } as const;
  expect(verdictOf({ ...kept, challenger: null, contest: null })).toBe("nothingNew");
  expect(verdictOf({ ...kept, contest: { ...CONTEST, worse: true } })).toBe("worse");
  expect(verdictOf({ ...kept, contest: { ...CONTEST, better: true } })).toBe("uncertified");
  expect(verdictOf({ ...kept, contest: CONTEST })).toBe("unproven");
});
