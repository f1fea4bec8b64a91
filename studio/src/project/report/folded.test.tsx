import { fireEvent, screen } from "@testing-library/react";
import { expect, it } from "vitest";

import { drawn } from "../../test-page";
import { Labels } from "./Labels";
import { onlyMistaken } from "./Mistakes";
import type { ReportView } from "./queries";

const share = (value: number) => ({ value, low: 0, high: 1, n: 1 });
const row = (label: string, support: number, value: number) => ({ label, support, train: 4, f1: share(value), precision: share(value), recall: share(value) });

it("folds the answers with too few test rows to say anything, and shows them on demand", async () => {
  const per_class = [row("late", 6, 0.8), row("refund", 9, 0.9), row("lost", 1, 0), ...Array.from({ length: 61 }, (_, place) => row(`rare ${place}`, 1, 1))];
  await drawn(<Labels project="p" view={{ report: { per_class, data: { left_out: ["press"] } } } as unknown as ReportView} />, [[["data", "p", "form"], { shape: "label" }]]);
  const labels = () => screen.getAllByRole("rowheader").map((head) => head.textContent);
  expect(labels()).toEqual(["late", "refund"]);
  expect(screen.getByText(/^62 answers have fewer than 5 test rows/).textContent).toContain("One of them was missed: lost.");
  expect(screen.getByText(/had only one row and was left out: press\. The model never gives it\./)).toBeTruthy();
  expect(screen.getByRole("link", { name: "Add a second row" }).getAttribute("href")).toContain("/projects/p/data");
  fireEvent.click(screen.getByRole("button", { name: "Show all 64 answers" }));
  expect(labels()).toHaveLength(64);
  expect(screen.queryByText(/fewer than 5 test rows/)).toBeNull();
});

it("draws a large map of the labels that are mistaken alone", () => {
  const cells = [{ down: 0, across: 0, count: 3 }, { down: 1, across: 1, count: 2 }, { down: 1, across: 3, count: 1 }, { down: 2, across: 2, count: 1 }];
  expect(onlyMistaken(["a", "b", "c", "d"], cells)).toEqual({ labels: ["b", "d"], cells: [{ down: 0, across: 0, count: 2 }, { down: 0, across: 1, count: 1 }] });
});
