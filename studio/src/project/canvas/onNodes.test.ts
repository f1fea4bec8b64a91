import type { TFunction } from "i18next";
import { expect, it } from "vitest";

import type { RunStep, RunStory } from "../../api/events";
import type { DataSummary, Run } from "../../api/queries";
import { nodeFacts, placeOfStep } from "./onNodes";

const t = ((key: string, values?: Record<string, string>) => [key, values?.["rows"] ?? values?.["value"]].filter(Boolean).join(" ")) as unknown as TFunction;
const step = (name: string, more: Partial<RunStep> = {}): RunStep => ({ name, began: 0, ended: 1, done: 0, total: null, note: "", member: "", part: null, facts: {}, ...more });
const story = (...steps: RunStep[]): RunStory => ({ steps, curves: [], remarks: [], member: "", part: null, ended: null });
const data = { rows: 615 } as DataSummary;
const going = { state: "running" } as Run;

it("puts each step of a build at the step of the canvas that does it", () => {
  const steps = ["read the data", "train kernel on every row", "cross-validate kernel, part 2 of 5", "pack and time kernel", "measure the packed bundle on the test rows", "pack the model", "something new"];
  expect(steps.map((name) => placeOfStep(name, "gate"))).toEqual(["data", "student", "student", "compress", "gate", "gate", "gate"]);
});

it("shows the rows, what is at work and how far, and no longer what is over", () => {
  const facts = nodeFacts(t, data, going, story(step("read the data", { note: "514 rows to learn from" }), step("pack and time linear", { note: "accuracy 94%" }), step("train encoder", { ended: null, done: 3, total: 12 })), true);
  expect(Object.fromEntries(facts)).toEqual({ data: { text: "canvas.rows 615" }, split: { text: "514 rows to learn from" }, student: { text: expect.stringContaining("train") as string, share: 0.25 } });
  const over = nodeFacts(t, data, { state: "done", result: { report: { headline: "accuracy", metrics: { accuracy: { value: 0.968 } } } } } as unknown as Run, story(step("train encoder", { ended: null })), false);
  expect([over.get("student"), over.get("gate")?.text]).toEqual([undefined, "canvas.reached 96.8%"]);
});

it("asks for a file where there are no rows", () => {
  expect(nodeFacts(t, { rows: 0 } as DataSummary, undefined, story(), false).get("data")).toEqual({ text: "canvas.dropHere" });
});
