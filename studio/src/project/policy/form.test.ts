import { expect, it } from "vitest";

import { allowedKinds, withAllowed, hoursOf, moved, partsOf, type PolicyForm, rulesOf, sayable, spansOf, stepsToChoose, textsAt, withRules } from "./form";

const FORM = { intents: { "order/*": ["act stock", "answer"], "*": ["answer"] } } as unknown as PolicyForm;

it("keeps the order of rules, which decides", () => {
  const rules = rulesOf(FORM);
  expect(Object.keys(withRules(FORM, moved(rules, 1, 0)).intents)).toEqual(["*", "order/*"]);
  expect(moved(rules, 0, -1)).toEqual(rules);
  expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
});

it("reads and writes hours as the file does", () => {
  expect(spansOf("09:00-12:30, 14:00-24:00")).toEqual([{ from: "09:00", to: "12:30" }, { from: "14:00", to: "24:00" }]);
  expect(hoursOf(spansOf("09:00-12:30,14:00-17:00"))).toBe("09:00-12:30, 14:00-17:00");
  expect(spansOf("")).toEqual([]);
});

it("parts a step, and lists all there are", () => {
  expect([partsOf("act order_status"), partsOf("person")]).toEqual([{ verb: "act", what: "order_status" }, { verb: "person", what: "" }]);
  expect(stepsToChoose(["stock"], ["thanks"])).toEqual(["answer", "recommend", "act", "act stock", "person", "say thanks"]);
});

it("tells what is wrong at a rule once", () => {
  const list = [{ place: "intents.a/b.0", text: "x" }, { place: "intents.a/b.1", text: "x" }, { place: "intents.a/bc", text: "y" }];
  expect(textsAt(list, "intents.a/b")).toBe("x");
});

it("a step says whole sentences without gaps, and every text of one's own", () => {
  const desks = { and: { en: " and " }, confirm: { en: "Shall I {call}?" }, welcome: { en: "You are welcome.", de: "Gern geschehen." } };
  expect(sayable({ thanks: {} }, desks)).toEqual(["thanks", "welcome"]);
});

it("leaves kinds of personal data as they are, and keeps what is said of others", () => {
  const kinds = withAllowed(["place=allow", "date=block", "card = mask"], ["person", "card"]);
  expect(kinds).toEqual(["date=block", "person=allow", "card=allow"]);
  expect(allowedKinds([...kinds, "url = allow"])).toEqual(["person", "card", "url"]);
});
