import { beforeEach, describe, expect, it } from "vitest";

import { assignKeys, matching, MOST_KEYED } from "./keys";
import { moved, newSession, type QueuedRow, storeAnswers, storedAnswers } from "./session";

function row(key: number, output: string | null = null): QueuedRow {
  return { row: { key, input: `text ${key}`, second: null, output, part: "train", source: "" }, reason: output === null ? "unlabelled" : "suspect", suggestions: [{ label: "a", chance: 0.9 }] };
}

const THREE = [row(1, "old"), row(2), row(3)];

describe("assignKeys", () => {
  it("gives digits to few labels and letters of their names to more", () => {
    expect([...assignKeys(["refund", "delivery"])]).toEqual([["refund", "1"], ["delivery", "2"]]);
    const labels = ["card lost", "card stolen", "account", "balance", "transfer", "top up", "fees", "refund", "exchange rate", "pin", "limits"];
    const keys = assignKeys(labels);
    expect(new Set(keys.values()).size).toBe(labels.length);
    expect([keys.get("card lost"), keys.get("card stolen"), keys.get("account"), keys.get("top up")]).toEqual(["c", "s", "a", "u"]);
  });

  it("gives every label a key of its own as long as there are letters", () => {
    const labels = Array.from({ length: MOST_KEYED }, (_, number) => `aaa ${number}`);
    expect(new Set(assignKeys(labels).values()).size).toBe(MOST_KEYED);
    expect(assignKeys([...labels, "one more"]).size).toBe(0);
  });
});

describe("matching", () => {
  it("puts what is equal first, then what begins with the text", () => {
    expect(matching(["lost card", "card lost", "card", "pin"], "card")).toEqual(["card", "card lost", "lost card"]);
    expect(matching(["b", "a"], " ")).toEqual(["b", "a"]);
  });
});

describe("a labelling session", () => {
  const begun = moved(newSession([]), { kind: "rows", rows: THREE });

  it("goes on by itself, and skipped rows come again when asked for", () => {
    const answered = moved(begun, { kind: "answer", output: "a" });
    expect([begun.current?.row.key, answered.current?.row.key, answered.pending]).toEqual([1, 2, [{ key: 1, output: "a", undo: false }]]);
    const skipped = moved(moved(answered, { kind: "skip" }), { kind: "answer", output: "b" });
    expect(skipped.current).toBeNull();
    expect(moved(skipped, { kind: "again" }).current?.row.key).toBe(2);
  });

  it("keeps the row before one's eyes when new rows come", () => {
    expect(moved(begun, { kind: "rows", rows: [row(9), ...THREE] }).current?.row.key).toBe(1);
    expect(moved(moved(begun, { kind: "rows", rows: [row(9), ...THREE] }), { kind: "skip" }).current?.row.key).toBe(9);
  });

  it("takes an answer back before it is sent, on its way, and after", () => {
    const answered = moved(begun, { kind: "answer", output: "a" });
    expect(moved(answered, { kind: "undo" })).toEqual(begun);
    const sending = moved(answered, { kind: "sending" });
    const taken = { key: 1, output: "old", undo: true };
    expect(moved(sending, { kind: "undo" }).pending).toEqual([{ key: 1, output: "a", undo: false }, taken]);
    expect(moved(moved(sending, { kind: "undo" }), { kind: "sent" }).pending).toEqual([taken]);
    const saved = moved(moved(sending, { kind: "sent" }), { kind: "undo" });
    expect([saved.pending, saved.current?.row.key, saved.answered.size]).toEqual([[taken], 1, 0]);
  });

  it("sends again what could not be sent, with what came since", () => {
    const second = moved(moved(moved(begun, { kind: "answer", output: "a" }), { kind: "sending" }), { kind: "answer", output: "b" });
    expect(moved(second, { kind: "sent" }).pending.map((entry) => entry.key)).toEqual([2]);
    expect(moved(second, { kind: "unsent" }).pending.map((entry) => entry.key)).toEqual([1, 2]);
  });

  it("asks again for a row whose answer was taken back before the page was closed", () => {
    const answer = (key: number) => ({ key, output: "a", undo: false });
    const again = newSession([answer(1), answer(2), { key: 1, output: "old", undo: true }]);
    expect(moved(again, { kind: "rows", rows: THREE }).current?.row.key).toBe(1);
    expect(newSession([answer(1), { key: 1, output: "old", undo: true }, answer(1)]).answered.has(1)).toBe(true);
  });

  it("goes through a thousand rows", () => {
    const many = Array.from({ length: 1_000 }, (_, number) => row(number + 1));
    const end = many.reduce((session) => moved(session, { kind: "answer", output: "a" }), moved(newSession([]), { kind: "rows", rows: many }));
    expect([end.pending.length, end.current]).toEqual([1_000, null]);
  });
});

describe("answers that are not saved", () => {
  beforeEach(() => localStorage.clear());

  it("outlive the page, and damage is no answer", () => {
    storeAnswers("p", [{ key: 1, output: "a", undo: false }]);
    expect(storedAnswers("p")).toEqual([{ key: 1, output: "a", undo: false }]);
    expect(newSession(storedAnswers("p")).answered.has(1)).toBe(true);
    storeAnswers("p", []);
    expect(storedAnswers("p")).toEqual([]);
    localStorage.setItem("smidgen.answers.p", "[{]");
    expect(storedAnswers("p")).toEqual([]);
  });
});
