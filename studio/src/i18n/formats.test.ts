import i18next from "i18next";
import { beforeAll, expect, it } from "vitest";

import { formatDay, formatMoney, formatNumber, formatShare, formatTime, memberTitle } from ".";

beforeAll(() => i18next.init({ lng: "de", resources: {} }));

/** With plain spaces, where the locale has those that do not break. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");
const written = () => [formatNumber(12_345.6), formatShare(0.825, 1), formatMoney(1_234.5), formatDay("2026-03-09T00:00:00Z")].map(plain);

it("writes numbers, shares, money and days as the chosen language does", async () => {
  expect(written()).toEqual(["12.345,6", "82,5 %", "1.234,50 $", "09.03.2026"]);
  expect(plain(formatTime("2026-03-09T14:05:00"))).toBe("09.03.2026, 14:05");
  await i18next.changeLanguage("en");
  expect(written()).toEqual(["12,345.6", "82.5%", "$1,234.50", "Mar 9, 2026"]);
  expect(plain(formatTime("2026-03-09T14:05:00"))).toBe("Mar 9, 2026, 2:05 PM");
});

it("writes no sign before what is rounded to nothing", async () => {
  await i18next.changeLanguage("en");
  expect([formatMoney(-0.001), formatNumber(-0.2, { maximumFractionDigits: 0 }), formatMoney(-2)]).toEqual(["$0.00", "0", "-$2.00"]);
});

it("names the language of a member that is for one alone", async () => {
  await i18next.changeLanguage("en");
  expect([memberTitle("answer"), memberTitle("answer-de")]).toEqual(["answer", "answer (German)"]);
});
