import i18next from "i18next";
import { afterEach, beforeAll, expect, it } from "vitest";

import server from "../i18n/server/de";
import { setServerTexts, told } from "../i18n/serverTexts";
import { translatedDrawing } from "./translatedDrawing";

const MAP = '<svg xmlns="http://www.w3.org/2000/svg" aria-label="Map of the routes"><title>Map of the routes</title><text x="4">A &amp; B: 7 stops, 12.5 km, back 16:20</text></svg>';

beforeAll(() => i18next.init({ lng: "de", resources: {} }));
afterEach(() => setServerTexts(null));

it("says the words of a drawing in German, with its numbers", () => {
  setServerTexts(server);
  const { words, source } = translatedDrawing(MAP);
  expect(words).toBe("Karte der Touren");
  expect(decodeURIComponent(source)).toContain('<text x="4">A &amp; B: 7 Stopps, 12,5 km, zurück 16:20</text>');
});

it("says a date in German, and leaves a name that begins like one", () => {
  setServerTexts(server);
  expect(told("Saturday 6 December 2026")).toBe("Samstag, dem 6. Dezember 2026");
  expect(told("Saturday Market")).toBe("Saturday Market");
});
