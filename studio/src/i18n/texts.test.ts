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

/** Words of the field that a shopkeeper need not know. They stand in the help beside the screen's plain word. */
const TERMS = /\b(macro F1|micro F1|F1|ROUGE\S*|gate|student|compress\w*|bundles?|fallback|intents?|loss curve)\b/i;
const HELP = /(about|help|note|\.term\.\w+|foundBetween|likeYoursAbout)$/i;

function said(texts: Texts, before = ""): [string, string][] {
  return Object.entries(texts).flatMap(([name, value]) => (typeof value === "string" ? [[before + name, value] as [string, string]] : said(value, `${before}${name}.`)));
}

it("keeps terms of the field in help texts", () => {
  const all = said(en);
  expect(all.filter(([name, text]) => !HELP.test(name) && TERMS.test(text.replace(/\{\{\w+\}\}/g, ""))).map(([name, text]) => `${name}: ${text}`)).toEqual([]);
  expect(all.filter(([name, text]) => HELP.test(name) && TERMS.test(text)).length).toBeGreaterThan(5);
});
