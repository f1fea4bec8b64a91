import { expect, it } from "vitest";

import { addable, copiedStep, type Drawing, fitting, laidOver, layout, pastedStep, sameSettings, shiftInto, withoutStep, withPasted, withSetting, withStep, withTaken, withWire } from "./graph";
import type { Kind, Wire } from "./queries";
import { triedModels } from "./Tried";
import type { ReportView } from "../report/queries";
import { nextHistory } from "./useDraft";

const port = (type: string) => ({ name: type, type });
const kind = (name: string, stage: string, inputs: string[], outputs: string[], more: Partial<Kind> = {}): Kind => ({ name, stage, inputs: inputs.map(port), outputs: outputs.map(port), needed: false, partner: "", asks: "", starts: {}, schemas: {}, ...more });
const TEACHER = kind("teacher", "examples", ["redacted"], ["labels"], { partner: "redact", starts: { "data.teacher": { uses: ["label"] } } });
const KINDS = [
  kind("data", "examples", [], ["examples"], { needed: true }),
  kind("redact", "examples", ["examples"], ["redacted"], { partner: "teacher" }),
  TEACHER,
  kind("student", "model", ["examples", "labels"], ["model"], { needed: true }),
  kind("gate", "model", ["model"], ["bundle"], { needed: true }),
];
const wire = (source: string, type: string, target: string): Wire => ({ source, output: type, target, input: type });
const WIRES = [wire("data", "examples", "student"), wire("student", "model", "gate")];
const DRAWING: Drawing = { nodes: ["data", "student", "gate"].map((name) => ({ id: name, kind: name, settings: {} })), wires: WIRES };

it("adds a step with its partner, in order, and takes both away", () => {
  expect(addable(DRAWING, KINDS).map((one) => one.name)).toEqual(["teacher"]);
  const more = withStep(DRAWING, TEACHER, KINDS);
  expect(more.nodes.map((node) => node.id)).toEqual(["data", "redact", "teacher", "student", "gate"]);
  expect(more.wires).toBeNull();
  expect(withoutStep(more, "redact", KINDS).nodes.map((node) => node.id)).toEqual(["data", "student", "gate"]);
});

it("keeps what is in a step when a setting comes and goes", () => {
  const given = withSetting(withSetting(DRAWING, "gate", "gate", "max_loss", 0.1), "gate", "gate", "odd", "x");
  expect(given.nodes[2]?.settings).toEqual({ gate: { max_loss: 0.1, odd: "x" } });
  const gone = withSetting(withSetting(given, "gate", "gate", "odd", undefined), "gate", "gate", "max_loss", undefined);
  expect(gone.nodes[2]?.settings).toEqual({});
});

it("lists what fits a port, here and to be added", () => {
  expect(fitting("input", "student", port("labels"), DRAWING, KINDS)).toEqual([{ kind: "teacher", port: "labels", there: false }]);
  expect(fitting("output", "data", port("examples"), DRAWING, KINDS)).toEqual([
    { kind: "redact", port: "examples", there: false },
    { kind: "student", port: "examples", there: true },
  ]);
});

it("has one wire into an input", () => {
  const next = withWire(DRAWING, WIRES, { source: "other", output: "examples", target: "student", input: "examples" });
  expect(next.wires?.filter((one) => one.target === "student").map((one) => one.source)).toEqual(["other"]);
});

it("draws each lane from left to right, and ends where wires go in a circle", () => {
  const places = layout(DRAWING.nodes, WIRES, KINDS);
  expect(places.get("data")).toEqual({ stage: "examples", column: 0, row: 0 });
  expect(places.get("student")?.column).toBeLessThan(places.get("gate")?.column ?? 0);
  expect(layout(DRAWING.nodes, [...WIRES, wire("gate", "model", "student")], KINDS).size).toBe(3);
});

it("lays settings over a recipe section by section", () => {
  expect(laidOver({ task: "x", gate: { a: 1, b: 2 } }, { gate: { b: 3 }, route: { c: 4 } })).toEqual({ task: "x", gate: { a: 1, b: 3 }, route: { c: 4 } });
});

it("undoes and redoes, and takes edits of one field as one", () => {
  const text = (value: string) => ({ by: "text" as const, text: value });
  let history = { past: [], now: text("a"), future: [], going: "" } as Parameters<typeof nextHistory>[0];
  for (const value of ["ab", "abc"]) history = nextHistory(history, { move: "edit", draft: text(value), going: "text" });
  history = nextHistory(nextHistory(history, { move: "settle" }), { move: "edit", draft: text("x"), going: "text" });
  history = nextHistory(history, { move: "undo" });
  expect(history.now).toEqual(text("abc"));
  history = nextHistory(history, { move: "undo" });
  expect(history.now).toEqual(text("a"));
  expect(nextHistory(history, { move: "undo" })).toBe(history);
  history = nextHistory(nextHistory(history, { move: "redo" }), { move: "redo" });
  expect(history.now).toEqual(text("x"));
});

it("knows the same recipe in another order", () => {
  expect(sameSettings({ a: 1, b: { c: ["x"], d: 2 } }, { b: { d: 2, c: ["x"] }, a: 1 })).toBe(true);
  expect([sameSettings({ a: 1 }, { a: 1, b: 2 }), sameSettings({ a: { b: 1 } }, { a: { b: 2 } }), sameSettings({ a: ["x", "y"] }, { a: ["y", "x"] })]).toEqual([false, false, false]);
});

it("copies a step with its settings into a drawing that has it, and into one that has not", () => {
  const own = withSetting(withStep(DRAWING, TEACHER, KINDS), "teacher", "data.teacher", "source", "https://llm.example");
  const step = own.nodes.find((node) => node.id === "teacher");
  const pasted = step && pastedStep(copiedStep(step), KINDS);
  if (!pasted) throw new Error("it is no step");
  const there = withPasted(DRAWING, pasted, KINDS);
  expect(there.nodes.map((node) => node.id)).toEqual(["data", "redact", "teacher", "student", "gate"]);
  expect(there.nodes[2]?.settings).toEqual({ "data.teacher": { uses: ["label"], source: "https://llm.example" } });
  const again = withPasted({ ...own, wires: WIRES }, { ...pasted, starts: {} }, KINDS);
  expect([again.nodes.length, again.nodes[2]?.settings, again.wires]).toEqual([5, {}, WIRES]);
  expect([pastedStep("hello", KINDS), pastedStep("[1]", KINDS), pastedStep('{"smidgen":"step","kind":"odd","settings":{}}', KINDS), pastedStep('{"smidgen":"step","kind":"data","settings":{"x":1}}', KINDS)]).toEqual([null, null, null, null]);
});

it("takes one model of those that were tried, without the training settings of another", () => {
  const steps: Drawing = { nodes: [{ id: "student", kind: "student", settings: { student: { among: ["encoder", "static"] }, train: { epochs: 3 } } }, { id: "compress", kind: "compress", settings: {} }], wires: null };
  const taken = withTaken(steps, { student: "static", method: "fp32" });
  expect(taken.nodes.map((node) => node.settings)).toEqual([{ student: { kind: "static" } }, { compress: { method: "none" } }]);
  const same = withTaken(withSetting(steps, "student", "student", "kind", "encoder"), { student: "encoder", method: "int8-dynamic" });
  expect(same.nodes.map((node) => node.settings)).toEqual([{ train: { epochs: 3 }, student: { kind: "encoder" } }, { compress: { method: "int8-dynamic" } }]);
});

it("has the models of the last build beside those of the next, and none twice", () => {
  const row = (student: string, method: string, chosen = false) => ({ name: `${student} ${method}`, student, method, chosen, baseline: false, why_not: "", accuracy: { value: 0.941, low: 0.9, high: 0.97, n: 100 }, latency_ms_p50: 1.2, size_mb: 23 });
  const view = { report: { headline: "accuracy", units: {}, student: { kind: "encoder" }, alternatives: [row("encoder", "int8", true), row("linear", "fp32")] } } as unknown as ReportView;
  const found = triedModels(view, ["encoder", "static"]);
  expect(found.map((one) => [one.id, one.figures, one.chosen])).toEqual([
    ["tried:encoder int8", "94.1% · 1.2 ms · 23 MB", true],
    ["tried:linear fp32", "94.1% · 1.2 ms · 23 MB", false],
    ["tried:static", "", false],
  ]);
  expect(triedModels(undefined, [])).toEqual([]);
});

it("moves the drawing no further than a step in sight takes", () => {
  expect([shiftInto(300, 140, 660), shiftInto(-400, 140, 660), shiftInto(600, 140, 660), shiftInto(0, 140, 100)]).toEqual([0, 424, -104, 24]);
});
