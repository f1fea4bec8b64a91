import { expect, it } from "vitest";

import { asked, drafted } from "./draft";

const SETTINGS = { model: "", port: 0, fallback: "", fallback_model: "", price_in: null, price_out: null, local: "measured", local_score: null, redact: true, days: 30 } as const;

it("begins with the newest model, and asks for what was typed", () => {
  const draft = drafted(SETTINGS, "aaa");
  expect([draft.model, draft.port, draft.price_in]).toEqual(["aaa", "", null]);
  const typed = { ...draft, port: "8901", fallback: " http://127.0.0.1:1/v1 ", fallback_model: "big", price_in: 1.5, price_out: 0, local: "never" as const };
  expect(asked(typed, true)).toEqual({ ...SETTINGS, model: "aaa", port: 8901, fallback: "http://127.0.0.1:1/v1", fallback_model: "big", price_in: 1.5, price_out: 0, local: "never" });
  expect(asked(typed, false)).toEqual({ ...SETTINGS, local: "certified", model: "aaa", port: 8901 });
});

it("offers the newest model, and keeps no score of another one", () => {
  expect(drafted({ ...SETTINGS, model: "old", local_score: 0.7 }, "new")).toMatchObject({ model: "new", local_score: null });
  expect(drafted({ ...SETTINGS, model: "new", local_score: 0.7 }, "new")).toMatchObject({ model: "new", local_score: 0.7 });
});

it("serves again what was served last", () => {
  expect(drafted({ ...SETTINGS, fallback: "http://a", port: 1 }, "aaa")).toMatchObject({ model: "", port: "1" });
  expect(drafted({ ...SETTINGS, model: "line" }, "aaa").model).toBe("line");
  expect(drafted({ ...SETTINGS, fallback: "http://a", price_in: 0, price_out: 0 }, "aaa")).toMatchObject({ price_in: 0, price_out: 0 });
});
