import { screen } from "@testing-library/react";
import { expect, it } from "vitest";

import { drawn } from "../test-page";
import { Start } from "./Start";

const TASKS = ["act", "answer", "classify", "complete", "desk", "extract", "recommend", "write"];
const goals = TASKS.map((task) => ({ task, summary: task }));
const solvers = ["routes", "stock", "trips"].map((name) => ({ name, title: name, summary: name, sample: false }));
const sample = { name: "support", summary: "" };
const project = { id: "1", name: "Inbox", task: "classify", changed: 1, version: 1, kinds: [], settings: {}, converses: false };
const answers = (projects: unknown[], bytes = 0) => [[["projects"], projects], [["goals"], goals], [["solvers"], solvers], [["plans"], []], [["samples"], [sample, { name: "events", summary: "" }]], [["build-results"], { bytes, limit: 10e9 }]] as const;

const follows = (one: Element, other: Element) => Boolean(one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);

it("shows four jobs, and the rest under more, with no icon twice", async () => {
  await drawn(<Start />, answers([]));
  expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("What should your model do?");
  const more = screen.getByText("More jobs").closest("details");
  const jobs = [...document.querySelectorAll("section[aria-label='What should your model do?'] button")];
  const titles = (some: Element[]) => some.map((job) => job.querySelector("strong")?.textContent);
  expect(titles(jobs.filter((job) => !more?.contains(job)))).toEqual(["Sort messages", "Pull out fields", "Answers from documents", "Support desk"]);
  expect(titles(jobs.filter((job) => more?.contains(job)))).toHaveLength(8);
  const icons = jobs.map((job) => job.querySelector("path")?.getAttribute("d"));
  expect(new Set(icons).size).toBe(12);
});

it("shows your projects first, when there are any", async () => {
  await drawn(<Start />, answers([project]));
  expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("Your projects");
  expect(follows(screen.getByRole("link", { name: "Inbox" }), screen.getByText("What should your model do?"))).toBe(true);
  expect(follows(screen.getByText("Sort messages", { selector: "button strong" }), screen.getByText("Or start from an example"))).toBe(true);
});

it("tells how much of the disk build results take, where that is much", async () => {
  await drawn(<Start />, answers([project], 3.24e9));
  expect(screen.getByRole("heading", { name: "Disk space: results of earlier builds take 3.2 GB of at most 10 GB" })).toBeTruthy();
  expect(screen.getByRole("button", { name: "Clear them" })).toBeTruthy();
});
