import { screen } from "@testing-library/react";
import { expect, it } from "vitest";

import { drawn } from "../../test-page";
import { Ways } from "./FirstAnswer";

const model = { id: "m", kind: "build", state: "done", result: { version: 3 }, request: {} };
const links = () => screen.getAllByRole("link").map((link) => link.textContent);

it.each([
  ["builds where there is no model", [], 3, ["Build the model"]],
  ["tries a model of just these rows", [model], 3, ["Try the model", "Build again"]],
  ["builds where the rows have changed since", [model], 4, ["Build the model"]],
])("%s", async (_, runs, version, wanted) => {
  await drawn(<Ways project="p" unlabelled={0} />, [[["runs", "p"], runs], [["data", "p", "summary"], { version }]]);
  expect(links()).toEqual(wanted);
});
