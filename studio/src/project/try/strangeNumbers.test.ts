import { expect, it } from "vitest";

import { strangeNumbers } from "./strangeNumbers";

it("finds numbers that were not given, however they are written", () => {
  expect(strangeNumbers("priceRange: cheap", "It is cheap, at 20 dollars.")).toEqual(["20"]);
  expect(strangeNumbers("price: 1200; size: 4.5", "1,200 pounds, 4,5 cm")).toEqual([]);
  expect(strangeNumbers("rating: 5 out of 5", "Rated 5 of 5, or 4.")).toEqual(["4"]);
});
