import { expect, it } from "vitest";

import de from "./de";
import en from "./en";
import type { Texts } from "./textsOf";

/** Each key with the names that its text fills in. */
function keys(texts: Texts, before = ""): string[] {
  return Object.entries(texts).flatMap(([name, value]) =>
    typeof value === "string" ? [`${before}${name} ${[...value.matchAll(/\{\{\w+\}\}/g)].map((found) => found[0]).sort().join(" ")}`] : keys(value, `${before}${name}.`),
  );
}

it("has every text in both languages, with the same names to fill in", () => {
  expect(keys(de).sort()).toEqual(keys(en).sort());
  expect(keys(en).length).toBeGreaterThan(80);
});
