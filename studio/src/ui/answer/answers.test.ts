import { describe, expect, it } from "vitest";

import { agreeing, differingFields, entriesOf, fieldsFor, lineOf, nested, newField, placesOf, read, sameValue, shapeOf, spansOf, typedText, valueAt, valueText, wordsAt } from "./answers";

const WORDS = { yes: "yes", no: "no" };
const SPANS = [
  { start: 2, end: 5, label: "who" },
  { start: 9, end: 15, label: "day" },
];

describe("the shape of an answer", () => {
  it("is seen from the answer itself", () => {
    const shapes = ["refund", ["a", "b"], SPANS, { n: 1 }, [1], 5, []].map((value) => shapeOf(value));
    expect(shapes).toEqual(["label", "labels", "spans", "fields", "value", "value", "spans"]);
    expect(shapeOf([], "labels")).toBe("labels");
  });
});

describe("one line of an answer", () => {
  it("says what each field says, and leaves out those that say nothing", () => {
    expect(lineOf({ order: "FH-1", gift: false, note: null, to: { city: "Rome" }, tags: ["a", "b"] }, "", WORDS)).toBe("order: FH-1 · gift: no · to.city: Rome · tags: a, b");
  });

  it("says the words of each span, counting an emoji as one character", () => {
    expect(lineOf(SPANS, "👍 Ann on Monday", WORDS)).toBe("who: Ann · day: Monday");
    expect(wordsAt("👍 Ann", { start: 2, end: 5 })).toBe("Ann");
    expect(spansOf([{ label: "x" }, ...SPANS])).toEqual(SPANS);
  });

  it("takes labels and texts as they are", () => {
    expect([lineOf(["a", "b"], "", WORDS), lineOf("refund", "", WORDS), lineOf(null, "", WORDS)]).toEqual(["a, b", "refund", ""]);
    expect(valueText([{ a: 1 }], WORDS)).toBe('[{"a":1}]');
  });
});

describe("fields", () => {
  it("are taken apart and put together by their paths", () => {
    const answer = { order: "FH-1", to: { city: "Rome", zip: null }, empty: {} };
    const entries = entriesOf(answer);
    expect(entries.map(([path]) => path)).toEqual(["order", "to.city", "to.zip", "empty"]);
    expect(nested(entries)).toEqual(answer);
    expect([valueAt(answer, "to.city"), valueAt(answer, "to.street"), valueAt(null, "a")]).toEqual(["Rome", undefined, undefined]);
  });

  it("say the same whatever stands around them", () => {
    expect([sameValue(" a ", "a"), sameValue("", null), sameValue([], undefined), sameValue(["b", "a"], ["a", "b"])]).toEqual([true, true, true, true]);
    expect([sameValue("a", "b"), sameValue(1, "1"), sameValue(null, false)]).toEqual([false, false, false]);
    expect(agreeing({ a: 1, b: [2] }, { b: [2], a: 1 })).toBe(true);
    expect([agreeing("refund", "delivery"), agreeing(null, null), agreeing({ a: 1 }, null)]).toEqual([false, false, false]);
    expect([agreeing({ a: 1, b: null }, { a: 1 }), agreeing({ a: 1, b: 2 }, { a: 1 })]).toEqual([true, false]);
    expect([...differingFields({ a: 1, b: null, to: { city: "Rome" } }, { a: 2, to: { city: "Rome", zip: "1" } })]).toEqual(["a", "to.zip"]);
  });

  it("are read from what somebody types, and typed back", () => {
    const field = (kind: Parameters<typeof read>[0]["kind"], many = false) => ({ kind, many });
    expect([read(field("integer"), " 3 "), read(field("integer"), "3.5"), read(field("number"), "3,5"), read(field("number"), "x")]).toEqual([3, undefined, 3.5, undefined]);
    expect([read(field("truth"), "false"), read(field("truth"), ""), read(field("text"), "  "), read(field("text"), " a b ")]).toEqual([false, null, null, "a b"]);
    expect([read(field("text", true), "a\n\n b"), read(field("integer", true), "1\nx"), read(field("json"), "{"), read(field("json"), "[1]")]).toEqual([["a", "b"], undefined, undefined, [1]]);
    const cases = [["integer", false, 3], ["truth", false, false], ["text", true, ["a", "b"]], ["json", false, [{ a: 1 }]], ["text", false, null]] as const;
    const sizes = { kind: "choice" as const, many: false, options: [38, "large"] };
    expect([read(sizes, "38"), read(sizes, "large"), read(sizes, ""), read(sizes, "huge")]).toEqual([38, "large", null, undefined]);
    for (const [kind, many, value] of cases) expect(read({ kind, many }, typedText({ kind, many }, value))).toEqual(value);
    expect(cases.length).toBe(5);
  });

  it("of a form come first, then those that only the answer has", () => {
    const form = { fields: [newField("order")] };
    expect(fieldsFor(form, { size: 4, order: "x" }).map((field) => [field.path, field.kind])).toEqual([["order", "text"], ["size", "number"]]);
    expect(fieldsFor(form, null).length).toBe(1);
  });
});

describe("places of values in a text", () => {
  it("are whole words, each taken once, the longest value first", () => {
    const places = placesOf("👍 3 roses on 3 March, 13 more for Ann-Marie or Ann", [
      ["amount", 3],
      ["date", "3 March"],
      ["who", "ann"],
      ["gift", true],
      ["more", null],
      ["flowers", ["roses"]],
    ]);
    const text = "👍 3 roses on 3 March, 13 more for Ann-Marie or Ann";
    expect(places.map((place) => [place.label, wordsAt(text, place)])).toEqual([["amount", "3"], ["flowers", "roses"], ["date", "3 March"], ["who", "Ann"]]);
    expect(places[0]?.start).toBe(2);
  });

  it("are none where the text says something else", () => {
    expect(placesOf("13 roses", [["amount", 3]])).toEqual([]);
  });
});
