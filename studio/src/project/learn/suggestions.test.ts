import { expect, it } from "vitest";

import type { Captured } from "./queries";
import { startOf, suggestionsFor } from "./suggestions";

const REQUEST = {
  id: "r1", time: 0, asked: "support", input: "where is it", answered_by: "upstream", why: "score", status: 200, local_output: '"refund"', local_score: 0.4, certificate: "", model: "big",
  answer: " delivery ", cost_usd: null, saved_usd: null, local_ms: null, upstream_ms: null, held_out: false, altered: false, audit_answer: null, corrected: null, verdict: null,
} satisfies Captured;

it("puts a person before the large model, that before the own model, and each answer once", () => {
  expect(suggestionsFor(REQUEST, ["refund", "account", "delivery"])).toEqual([
    { answer: "delivery", by: "large" },
    { answer: "refund", by: "model" },
    { answer: "account", by: "data" },
  ]);
  expect(suggestionsFor({ ...REQUEST, corrected: "account" }, [])[0]).toEqual({ answer: "account", by: "person" });
});

it("asks the large model's answer only where it gave one", () => {
  expect(suggestionsFor({ ...REQUEST, answered_by: "local" }, [])).toEqual([{ answer: "refund", by: "model" }]);
  expect(suggestionsFor({ ...REQUEST, answered_by: "local", audit_answer: "account" }, [])[0]?.by).toBe("large");
});

it("suggests nothing in the name of a model that gave no answer", () => {
  expect(suggestionsFor({ ...REQUEST, answered_by: "none", answer: null, local_output: "null" }, ["refund"])).toEqual([{ answer: "refund", by: "data" }]);
});

it("takes a text as it is, and fields only as JSON", () => {
  expect(startOf("text", "{}")).toBe("{}");
  expect(startOf("fields", '{"amount": 5}')).toEqual({ amount: 5 });
  expect(startOf("fields", "five roses")).toBeNull();
});
