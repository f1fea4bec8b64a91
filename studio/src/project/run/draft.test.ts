import { expect, it } from "vitest";

import { asked, chosenPoint, drafted } from "./draft";

const SETTINGS = { model: "", port: 0, fallback: "", fallback_model: "", price_in: null, price_out: null, uncertified_score: null, redact: true, days: 30 };

it("begins with the newest model, and asks for what was typed", () => {
  const draft = drafted(SETTINGS, "aaa");
  expect([draft.model, draft.port, draft.price_in]).toEqual(["aaa", "", null]);
  const typed = { ...draft, port: "8901", fallback: " http://127.0.0.1:1/v1 ", fallback_model: "big", price_in: 1.5, price_out: 0, uncertified_score: 0.8 };
  expect(asked(typed, true)).toEqual({ ...SETTINGS, model: "aaa", port: 8901, fallback: "http://127.0.0.1:1/v1", fallback_model: "big", price_in: 1.5, price_out: 0, uncertified_score: 0.8 });
  expect(asked(typed, false)).toEqual({ ...SETTINGS, model: "aaa", port: 8901 });
});

it("serves again what was served last", () => {
  expect(drafted({ ...SETTINGS, fallback: "http://a", port: 1 }, "aaa")).toMatchObject({ model: "", port: "1" });
  expect(drafted({ ...SETTINGS, model: "line" }, "aaa").model).toBe("line");
  expect(drafted({ ...SETTINGS, fallback: "http://a", price_in: 0, price_out: 0 }, "aaa")).toMatchObject({ price_in: 0, price_out: 0 });
});

it("takes the report's point for its own model only", () => {
  const settings = { operating_point: { model: "aaa", threshold: 0.6, coverage: 0.8, risk: 0.03, wrong_cost: 1 } };
  expect(chosenPoint(settings, "aaa")).toEqual({ threshold: 0.6, coverage: 0.8, risk: 0.03 });
  expect(chosenPoint(settings, "bbb")).toBeNull();
  expect(chosenPoint(undefined, "aaa")).toBeNull();
});
