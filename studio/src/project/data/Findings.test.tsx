import { fireEvent, screen } from "@testing-library/react";
import { expect, it } from "vitest";

import { drawn } from "../../test-page";
import { Findings } from "./Findings";

const item = { id: "a", rows: [], other: null, names: [{ label: "accessibility", rows: 1 }], proposed: "shop wheelchair", chance: null, why: "" };
const finding = { kind: "counts.once", severity: "error", count: 1, text: "", todo: "", shape: "names", details: {}, open: 1, items: [item] };
const labels = ["accessibility", "press", "shop wheelchair"].map((output) => ({ output, rows: 3 }));

it("preselects the nearest label to merge a rare one into, and merges only when told", async () => {
  await drawn(<Findings project="p" />, [[["data", "p", "findings", 200], [finding]], [["data", "p", "labels"], labels]]);
  const into = screen.getByLabelText<HTMLSelectElement>("Merge into");
  const merge = screen.getByRole<HTMLButtonElement>("button", { name: "Merge" });
  expect([into.value, into.selectedOptions[0]?.text, merge.disabled]).toEqual(["shop wheelchair", "shop wheelchair (the nearest)", false]);
  fireEvent.change(into, { target: { value: "" } });
  expect(merge.disabled).toBe(true);
  fireEvent.change(into, { target: { value: "press" } });
  expect([into.value, merge.disabled]).toEqual(["press", false]);
});
