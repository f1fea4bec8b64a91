import { expect, it } from "vitest";

import { draftOf, emptyDraft, faultsAt, marked, settingsOf, typed, valuesIn } from "./draft";

const STATUS = {
  description: "Look up an order",
  words: { en: "Look up order {order}", de: "Bestellung {order} nachsehen" },
  changes: false,
  confirm: "never",
  owner: ["order"],
  card: "order",
  sql: "SELECT 1 WHERE :order = :most",
  examples: [{ message: "where is FH-1", arguments: { order: "FH-1", most: 3 } }],
  arguments: {
    order: { type: "string", pattern: "FH-[0-9]+", title: "order number", description: "on the bill" },
    mail: { type: "string", format: "email", title: { en: "e-mail", de: "E-Mail" }, required: false },
    most: { type: "integer", minimum: 1, enum: [1, 3] },
  },
};

it("keeps all that a file says, also what the form has no field for", () => {
  expect(settingsOf(draftOf("status", STATUS, false, true, {}))).toEqual(STATUS);
  const request = { description: "x", words: "x {a}", changes: true, http: { method: "POST", url: "https://x.example/{a}", headers: { A: "${KEY}" }, body: { a: "{a}" }, result: "rows" }, refusals: { 409: "no" }, arguments: { a: { type: "string" } } };
  expect(settingsOf(draftOf("send", request, false, true, {}))).toEqual(request);
});

it("states of a chosen operation only what is its own", () => {
  const schema = { properties: { slot_id: { type: "string" } }, required: ["slot_id"] };
  const draft = draftOf("bookSlot", { words: "Book {slot_id}" }, true, true, schema);
  expect(draft.arguments[0]).toMatchObject({ name: "slot_id", required: true });
  expect(settingsOf({ ...draft, name: "book" })).toEqual({ name: "book", words: "Book {slot_id}", changes: true });
});

it("asks before a call that changes something, whatever the switch says", () => {
  expect(settingsOf({ ...emptyDraft(), changes: true, asks: false }).confirm).toBeUndefined();
  expect(settingsOf({ ...emptyDraft(), asks: true }).confirm).toBe("always");
});

it("reads what is typed by its type", () => {
  expect([typed("3", "integer"), typed("x", "number"), typed("true", "boolean"), typed("3", "string"), typed("[1]", "array")]).toEqual([3, "x", true, "3", [1]]);
});

it("finds the mistakes of a field and of what is in it", () => {
  const mistakes = [{ place: "words.en", text: "a" }, { place: "arguments.code.pattern", text: "b" }, { place: "examples[1]", text: "c" }, { place: "wordsmith", text: "d" }];
  expect([faultsAt(mistakes, "words"), faultsAt(mistakes, "arguments.code"), faultsAt(mistakes, "examples"), faultsAt(mistakes, "sql")]).toEqual(["a", "b", "c", ""]);
});

it("marks each value once in a message", () => {
  expect(marked("Cancel FH-1 of nia", { order: "fh-1", who: "nia", more: "FH" })).toEqual([
    { text: "Cancel ", argument: "" },
    { text: "FH-1", argument: "order" },
    { text: " of ", argument: "" },
    { text: "nia", argument: "who" },
  ]);
  expect(marked("hi", { order: "" })).toEqual([{ text: "hi", argument: "" }]);
});

it("finds the values of a message that show by their form", () => {
  const known = [
    { ...BLANK, name: "order", pattern: "^FH-[0-9]{5}$" },
    { ...BLANK, name: "email", type: "email" },
    { ...BLANK, name: "wrong", pattern: "(" },
    { ...BLANK, name: "free" },
  ];
  expect(valuesIn("where is FH-20103? nia@example.com", known)).toEqual({ order: "FH-20103", email: "nia@example.com" });
});

const BLANK = { titles: {}, type: "string", required: true, pattern: "", choices: "", rest: {} };
