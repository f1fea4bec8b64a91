import { expect, it } from "vitest";

import { largestFirst } from "./largestFirst";

it("puts the largest first, also where a name is a whole number", () => {
  expect(largestFirst(JSON.parse('{"Booking": 121, "Spa": 12, "7": 13}')).map((entry) => entry.name)).toEqual(["Booking", "7", "Spa"]);
  expect(largestFirst(undefined)).toEqual([]);
});
