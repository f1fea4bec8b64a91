import i18next from "i18next";
import { afterEach, beforeAll, expect, it } from "vitest";

import { ApiError } from "../api/client";
import { failureOf, inWords } from "../ui/failure";
import de from "./de";
import server from "./server/de";
import { setServerTexts, told, translated } from "./serverTexts";

beforeAll(() => i18next.init({ lng: "de", resources: { de: { translation: de } }, interpolation: { escapeValue: false } }));
afterEach(() => setServerTexts(null));

it("says what the server says in German, with its numbers", () => {
  setServerTexts(server);
  expect(told("1,403 rows to learn from, 200 to test on")).toBe("1.403 Zeilen zum Lernen, 200 zum Prüfen");
  expect(told("pack and time encoder int8-dynamic")).toBe("Trainiertes Sprachmodell (int8-dynamic) wird gepackt und seine Zeit gemessen");
  expect(told("the fastest within 1% of the most accurate (encoder fp32) on held-out rows; asked: quality balanced, at most 12.5 ms")).toBe(
    "Das schnellste, höchstens 1 % hinter dem genauesten (Trainiertes Sprachmodell (fp32)) auf zurückgelegten Zeilen; verlangt: ausgewogen, höchstens 12,5 ms",
  );
});

it("writes a number with its unit as the language does, also where they may not be parted", () => {
  setServerTexts(server);
  expect(told("time 2.3\u00a0s")).toBe("Zeit wird gemessen: 2,3\u00a0s");
  expect(told("0.05 Wh (estimate)")).toBe("0,05 Wh (geschätzt)");
});

it("knows a sentence with a capital and a full stop, and leaves what it does not know", () => {
  setServerTexts(server);
  expect(told("Must be greater than 0, not -1.")).toBe("muss größer sein als 0, nicht -1.");
  expect(translated("a part says something new")).toBeNull();
  setServerTexts(null);
  expect(told("1,403 rows")).toBe("1,403 rows");
});

it("has the same gaps in both languages, and uses none twice in English", () => {
  const gaps = (text: string) => [...text.matchAll(/\{\d\}/g)].map((found) => found[0]);
  const wrong = Object.entries(server).filter(([text, german]) => new Set(gaps(text)).size !== gaps(text).length || gaps(german).some((gap) => !gaps(text).includes(gap)));
  expect(wrong).toEqual([]);
  expect(Object.keys(server).length).toBeGreaterThan(600);
});

it("puts an error into words by its parts", () => {
  setServerTexts(server);
  const parts = { message: "shop.csv, row 17, column text: the text is empty: ''. Fill it in.", what: "the text is empty", value: "''", todo: "Correct the row.", kind: "DataError", row: 17, column: "text" };
  expect(inWords(i18next.t, parts)).toMatchObject({ message: "Zeile 17, Spalte „text“: der Text ist leer: ''.", todo: "Berichtigen Sie die Zeile." });
  const gate = { what: "the model is not good enough to ship", value: "accuracy is 0.7321 (95 % interval 0.7012 to 0.7602); gate.min_headline asks for 0.8", todo: "Nothing was shipped. Add examples (the report says for which labels), try --quality best, or lower the gate.", kind: "GateError" };
  expect(inWords(i18next.t, gate).message).toBe("Das Modell ist nicht gut genug: Anteil richtiger Antworten: 0,7321 (95-%-Intervall 0,7012 bis 0,7602); verlangt: 0,8.");
});

it("says at least what kind of error it is, with the English below", () => {
  setServerTexts(server);
  const shown = failureOf(i18next.t, new ApiError(400, { message: "a part failed: 3. Mend it.", what: "a part failed", value: "3", todo: "Mend it.", kind: "TrainError" }));
  expect(shown).toMatchObject({ message: "Das Training konnte nicht weitergehen", exact: "a part failed: 3. Mend it." });
  const listed = inWords(i18next.t, { what: "the recipe has mistakes", value: "'x'", todo: "Correct each of these:\n  - must be a number\n  - another", kind: "RecipeError" });
  expect(listed.list).toEqual(["muss eine Zahl sein", "another"]);
});
