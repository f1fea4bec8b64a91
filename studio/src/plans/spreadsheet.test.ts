import i18next from "i18next";
import { afterEach, beforeEach, expect, it } from "vitest";

import de from "../i18n/de";
import en from "../i18n/en";
import server from "../i18n/server/de";
import { setServerTexts } from "../i18n/serverTexts";
import { spreadsheet } from "./spreadsheet";

const TABLE = 'van,step,stop,address,load,weekday\nOS-1,1,"Café ""Müller"", Hof",Weg 3; links,1.5,saturday\n7,2,10135,,-12,\n';

beforeEach(() => i18next.init({ lng: "de", resources: { de: { translation: de }, en: { translation: en } }, interpolation: { escapeValue: false } }));
afterEach(() => setServerTexts(null));

it("is a table that a German spreadsheet opens", () => {
  setServerTexts(server);
  expect(spreadsheet(TABLE)).toBe('\ufeffWagen;Folge;Stopp;Adresse;Ladung;Wochentag\r\nOS-1;1;"Café ""Müller"", Hof";"Weg 3; links";1,5;Samstag\r\n7;2;10135;;-12;\r\n');
});

it("keeps marks and words in English, and tells how its letters are written", async () => {
  await i18next.changeLanguage("en");
  expect(spreadsheet(TABLE).slice(1).replaceAll("\r\n", "\n").split("\n").slice(1)).toEqual(TABLE.split("\n").slice(1));
  expect(spreadsheet(TABLE).startsWith("\ufeff")).toBe(true);
});
