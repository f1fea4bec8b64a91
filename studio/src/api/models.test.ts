import { expect, it } from "vitest";

import { describeModel, formatHeadline } from "./models";
import type { Run } from "./queries";

const NOW = new Date(2026, 10, 29, 16, 0);

function built(report: object, queued = new Date(2026, 10, 29, 14, 2)): Run {
  return { id: "a", project: "p", kind: "build", state: "done", author: "owner", request: {}, result: { report }, error: null, queued: queued.getTime() / 1000, started: null, ended: null, ahead: null, number: 3 };
}

it("names a model by what tells it from others", () => {
  const run = built({ headline: "accuracy", metrics: { accuracy: { value: 0.867 } } });
  expect(describeModel(run, "Build 3", NOW)).toBe("Build 3 · 86.7% · 2:02 PM");
  expect(describeModel(built({}), "Spring range", NOW)).toBe("Spring range · 2:02 PM");
  expect(describeModel(built({}, new Date(2026, 10, 28, 14, 2)), "Build 3", NOW)).toContain("Nov 28");
});

it("shows the grade of texts as a number, for it is no share of right answers", () => {
  expect(formatHeadline(built({ graded: true }), 0.5241)).toBe("0.52");
  expect(formatHeadline(built({}), 0.5241)).toBe("52.4%");
});
