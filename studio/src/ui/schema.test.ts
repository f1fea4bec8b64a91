import { expect, it } from "vitest";

import { fieldsOf, labelOf, readValue, type SchemaField, written } from "./schema";

const SCHEMA = {
  $defs: { Mode: { type: "string", enum: ["a", "b"] } },
  properties: {
    quality: { type: "string", enum: ["best", "fast"], default: "fast", description: "How good." },
    epochs: { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }], default: null },
    rate: { type: "number", default: 0.01 },
    unsure: { type: "boolean", default: false },
    name: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
    mode: { $ref: "#/$defs/Mode", default: "a" },
    words: { type: "array", items: { type: "string" }, default: ["x", "y"] },
    uses: { type: "array", items: { type: "string", enum: ["label", "score"] }, default: ["label"] },
    prices: { type: "array", items: { type: "number" }, default: [] },
    folder: { type: "string", readOnly: true },
    tree: { type: "object", default: { a: 1 } },
    either: { anyOf: [{ type: "string" }, { type: "integer" }] },
  },
};

function field(name: string): SchemaField {
  const found = fieldsOf(SCHEMA).find((one) => one.name === name);
  if (!found) throw new Error(name);
  return found;
}

it("draws each kind of setting by its schema", () => {
  expect(fieldsOf(SCHEMA).map((one) => [one.name, one.kind])).toEqual([
    ["quality", "choice"],
    ["epochs", "number"],
    ["rate", "number"],
    ["unsure", "switch"],
    ["name", "text"],
    ["mode", "choice"],
    ["words", "list"],
    ["uses", "several"],
    ["prices", "list"],
    ["tree", "json"],
    ["either", "json"],
  ]);
  expect(field("quality")).toMatchObject({ help: "How good.", standard: "fast", choices: ["best", "fast"] });
  expect([field("epochs").standard, field("epochs").whole, field("words").standard]).toEqual(["", true, "x\ny"]);
});

it("reads what was typed in, and leaves out what is empty", () => {
  expect([readValue(field("epochs"), "3"), readValue(field("rate"), "0,5"), readValue(field("epochs"), " ")]).toEqual([3, 0.5, undefined]);
  expect([readValue(field("epochs"), "10,000"), readValue(field("rate"), "1e-4")]).toEqual([10_000, 0.0001]);
  expect([readValue(field("words"), "a\n\n b "), readValue(field("unsure"), "true"), readValue(field("tree"), '{"b":2}')]).toEqual([["a", "b"], true, { b: 2 }]);
  expect([readValue(field("prices"), "0.5\n3\nfree"), field("uses").choices]).toEqual([[0.5, 3, "free"], ["label", "score"]]);
});

it("leaves to the server what does not fit", () => {
  expect([readValue(field("epochs"), "many"), readValue(field("tree"), "{")]).toEqual(["many", "{"]);
});

it("writes values and names for people", () => {
  expect([written(null), written(true), written(["a", 1]), written({ a: 1 })]).toEqual(["", "true", "a\n1", '{"a":1}']);
  expect([labelOf("max_size_mb"), labelOf("kind")]).toEqual(["Max size MB", "Kind"]);
});
