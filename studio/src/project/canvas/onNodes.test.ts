import type { TFunction } from "i18next";
import { expect, it } from "vitest";

import type { RunStep, RunStory } from "../../api/events";
import type { DataSummary, Run } from "../../api/queries";
import type { OperatingPoint } from "../../api/operatingPoint";
import type { Figures, Serving } from "../run/queries";
import { type AtWork, nodeFacts, placeOfStep, workFacts } from "./onNodes";

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

const POINT = { threshold: 0.7, share: 0.84, error: 0.031, error_low: 0.01, error_high: 0.05, rows: 200, chosen_by: "user" } as OperatingPoint;
const server = (state: Serving["state"], more: Partial<Serving> = {}) => ({ state, url: state === "stopped" ? "" : "http://127.0.0.1:8091", keyed: false, settings: { fallback: "" }, ...more }) as Serving;
const atWork = (more: Partial<AtWork>): AtWork => ({ serving: server("stopped"), on: false, startable: true, figures: null, desk: undefined, point: POINT, mode: "measured", behind: false, ...more });

it("shows the state of the API, its address and what came today on the steps at work", () => {
  const facts = (more: Partial<AtWork>) => workFacts(t, atWork(more));
  expect([facts({}).get("serve"), facts({ startable: false }).get("serve"), facts({}).get("page")?.text]).toEqual([{ text: "canvas.work.stopped" }, { text: "canvas.work.noModel" }, "canvas.work.withApi"]);
  expect(facts({ serving: server("starting"), on: true }).get("serve")).toEqual({ text: "canvas.work.starting", more: "127.0.0.1:8091", share: null });
  expect(facts({ serving: server("silent"), on: true }).get("serve")?.tone).toBe("bad");
  const figures = { requests: 12, local: 9, passed_on: 3, cost_usd: 0.02 } as Figures;
  const running = facts({ serving: server("running", { keyed: true, settings: { fallback: "https://llm.example" } as Serving["settings"] }), on: true, figures, behind: true });
  expect(running.get("serve")).toEqual({ text: "canvas.work.requests", more: "127.0.0.1:8091", tone: "good" });
  expect([running.get("page")?.text, running.get("unsure")?.more, running.get("route")?.text]).toEqual(["canvas.work.keyed", "canvas.work.here", "canvas.work.passed"]);
});

it("shows on the condition what the model answers as it is drawn", () => {
  const said = (more: Partial<AtWork>) => workFacts(t, atWork(more)).get("unsure")?.text;
  expect([said({}), said({ behind: true }), said({ behind: true, mode: "never" }), said({ behind: true, mode: "certified" }), said({ point: null })]).toEqual(
    ["canvas.work.sure 200", "canvas.work.point 200", "canvas.work.nothingHere", "canvas.work.nothingHere", "canvas.work.unmeasured"],
  );
  expect(said({ behind: true, mode: "certified", point: { ...POINT, chosen_by: "certificate" } })).toBe("canvas.work.point 200");
});
