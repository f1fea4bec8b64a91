import i18next from "i18next";
import { afterEach, beforeAll, expect, it } from "vitest";

import { ApiError } from "../api/client";
import { failureOf, inWords } from "../ui/failure";
import de from "./de";
import { messageOf, pairsOf, setMessages } from "./messages";
import german from "./server/de/messages";
import { setServerTexts } from "./serverTexts";

beforeAll(() => i18next.init({ lng: "de", resources: { de: { translation: de } }, interpolation: { escapeValue: false } }));
afterEach(() => {
  setMessages({});
  setServerTexts(null);
});

it("has the German of the platform and of its wings", () => {
  const rooms = new Set(Object.keys(german).map((code) => code.split(".")[0]));
  expect([...rooms]).toEqual(expect.arrayContaining(["data", "server", "desk", "plans", "retail", "code", "studio"]));
  expect(Object.keys(german).length).toBeGreaterThan(1000);
});

it("fills in names, numbers and quotations as German writes them", () => {
  setMessages({ "data.rows": { what: "{rows, number} Zeilen in {file, quoted}", todo: "{{ab}} {share}" } });
  expect(messageOf("data.rows", { rows: 12000, file: "a.csv", share: 0.5 })).toEqual({ what: "12.000 Zeilen in „a.csv“", todo: "{ab} 0,5" });
  expect(messageOf("data.other")).toBeNull();
});

it("shows an error by its code, with its place and its list, whatever its English says", () => {
  setMessages({ "data.text_is_empty": { what: "der Text ist leer", todo: "Füllen Sie ihn aus." } });
  const parts = { message: "the text has nothing", what: "the text has nothing", value: "''", todo: "Fill it.\n  - a", kind: "DataError", row: 17, column: "text", message_code: "data.text_is_empty", values: {} };
  expect(inWords(i18next.t, parts)).toEqual({ message: "Zeile 17, Spalte „text“: der Text ist leer: ''.", todo: "Füllen Sie ihn aus.", list: ["a"] });
  setServerTexts({});
  expect(failureOf(i18next.t, new ApiError(400, { ...parts, message_code: "data.of_tomorrow" })).exact).toContain("the text has nothing");
});

it("knows a sentence of the catalogues within another text, except where it would match others", () => {
  const english = { "a.long": { what: "row {row} of {file} is empty", todo: "{a}, {b}" }, "a.twice": { what: "{name} and again {name}", todo: "Choose {{one}}." } };
  const german = { "a.long": { what: "in {file} ist Zeile {row} leer", todo: "{b}, {a}" }, "a.twice": { what: "{name} und wieder {name}", todo: "Wählen Sie {{eines}}." } };
  expect(pairsOf(english, german)).toEqual({ "row {1} of {2} is empty": "in {2} ist Zeile {1} leer", "Choose {one}.": "Wählen Sie {eines}." });
});
