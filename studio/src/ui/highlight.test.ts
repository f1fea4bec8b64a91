import { expect, it } from "vitest";

import { highlight } from "./highlight";

const marked = (text: string, phrases: string[]) => highlight(text, phrases).map((piece) => (piece.marked ? `[${piece.text}]` : piece.text)).join("");

it("marks phrases as whole words, in any case", () => {
  expect(marked("A Gold chair for tired feet, gold as gold.", ["gold"])).toBe("A [Gold] chair for tired feet, [gold] as [gold].");
  expect(marked("Tired of red?", ["red"])).toBe("Tired of [red]?");
  expect(marked("It costs £49 (45 x 45 cm).", ["45 x 45 cm", "£49"])).toBe("It costs [£49] ([45 x 45 cm]).");
});

it("leaves a text whole where there is nothing to mark", () => {
  expect(highlight("A blue mug.", [])).toEqual([{ text: "A blue mug.", marked: false }]);
  expect(marked("What (*) is this?", ["(*)"])).toBe("What [(*)] is this?");
});
