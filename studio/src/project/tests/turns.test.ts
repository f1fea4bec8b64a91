import { expect, it } from "vitest";

import { countOf, draftOf, emptyTurn, turnOf, verdictOf } from "./turns";

it("keeps all that is wanted of an answer", () => {
  const turn = { say: "cancel", expect: { outcome: "proposed", contains: ["FH-1"], not_contains: ["done"], document: "a.md", tool: "cancel", arguments: { order: "FH-1" } } };
  expect(turnOf(draftOf(turn))).toEqual(turn);
  expect(turnOf(draftOf({ say: "hi" }))).toEqual({ say: "hi", expect: null });
  expect(turnOf({ ...emptyTurn(), say: " hi ", contains: [" "] })).toEqual({ say: "hi", expect: { outcome: "answered" } });
});

it("calls a conversation wrong as soon as one message is, and counts only what was measured", () => {
  const [right, wrong, open] = [{ right: true }, { right: false }, { right: null }];
  expect([verdictOf([right, wrong]), verdictOf([right, open]), verdictOf([open]), verdictOf([])]).toEqual(["wrong", "right", "open", "open"]);
  expect(countOf([{ results: [right, wrong, open] }, { results: [right] }])).toEqual({ right: 2, measured: 3 });
});
