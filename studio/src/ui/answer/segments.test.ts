import { expect, it } from "vitest";

import { takeEvents } from "../../api/eventStream";
import { heaviest, segments, strength } from "./segments";

it("cuts a text at its places, counting an emoji as one character", () => {
  expect(segments("👍 my parcel", [{ start: 5, end: 11 }])).toEqual([
    { text: "👍 my ", place: null },
    { text: "parcel", place: { start: 5, end: 11 } },
  ]);
});

it("leaves out places that overlap and keeps every letter of the text", () => {
  const cut = segments("call Ann now", [{ start: 5, end: 8 }, { start: 0, end: 4 }, { start: 6, end: 12 }, { start: 9, end: 99 }]);
  expect(cut.map((piece) => piece.text)).toEqual(["call", " ", "Ann", " ", "now"]);
  expect(cut.map((piece) => piece.text).join("")).toBe("call Ann now");
});

it("draws words by their share of the heaviest, and none where nothing matters", () => {
  const words = [{ start: 0, end: 1, fall: 0.5 }, { start: 2, end: 3, fall: -0.25 }, { start: 4, end: 5, fall: 0.004 }];
  expect(words.map((word) => strength(word, words))).toEqual([1, -0.5, 0]);
  expect(heaviest(words, 5).map((word) => word.fall)).toEqual([0.5, -0.25]);
  expect(heaviest([{ start: 0, end: 1, fall: 0.001 }], 5)).toEqual([]);
});

it("reads whole events and keeps the rest for later", () => {
  const [events, rest] = takeEvents('event: piece\ndata: {"text":"a\\n"}\n\nevent: ans');
  expect(events).toEqual([{ event: "piece", data: { text: "a\n" } }]);
  expect(rest).toBe("event: ans");
});
