import i18next from "i18next";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";

import de from "../i18n/de";
import server from "../i18n/server/de";
import { setServerTexts } from "../i18n/serverTexts";
import { translatedPage } from "./translatedPage";

beforeAll(() => i18next.init({ lng: "de", resources: { de: { translation: de } }, interpolation: { escapeValue: false } }));
beforeEach(() => setServerTexts(server));
afterEach(() => setServerTexts(null));

it("says a driver sheet in German, and no name in other words", () => {
  const sheet =
    '<html lang="en"><head><title>Driver sheets</title><style>ol{margin:0}</style></head><body><section><h1 translate="no">Solved</h1><p>Leaves Lager &amp; Co at 08:00, is at Lager &amp; Co at 11:05. 2 stops, load 5.5 of 80, 12.5 km.</p>' +
    '<ol><li><span class="tick"></span><span class="time">08:12</span>1. load 4<small><span translate="no">load 4, Hof 3</span> · <span>window 08:00 to 12:00</span> · <span>load 1.5</span> · <span>5 min of work</span> · <span>needs kühlung</span></small></li>' +
    '<li><span class="time">10:00</span><span>Break of 30 minutes</span><small translate="no">Solved</small></li></ol></section></body></html>';
  expect(translatedPage(sheet)).toBe(
    '<html lang="de"><head><title>Fahrerblätter</title><style>ol{margin:0}</style></head><body><section><h1 translate="no">Solved</h1><p>Ab Lager &amp; Co um 08:00, an Lager &amp; Co um 11:05. 2 Stopps, Ladung 5,5 von 80, 12,5 km.</p>' +
      '<ol><li><span class="tick"></span><span class="time">08:12</span>1. load 4<small><span translate="no">load 4, Hof 3</span> · <span>Zeitfenster 08:00 bis 12:00</span> · <span>Ladung 1,5</span> · <span>5 Min. Arbeit</span> · <span>braucht: kühlung</span></small></li>' +
      '<li><span class="time">10:00</span><span>Pause von 30 Minuten</span><small translate="no">Solved</small></li></ol></section></body></html>',
  );
});

it("says the page of a plan in German, with its tables and its map", () => {
  const map = '<svg aria-label="Map of the trip"><text>start and end</text></svg>';
  const page =
    `<html lang="en"><p class="status partly">Solved in part: read what was left out</p><ul><li>Day 1, Saturday: nothing fits.</li></ul><img src="data:image/svg+xml;base64,${btoa(map)}" alt="map">` +
    '<table><tr><th class="number">load</th><th>weekday</th></tr><tr><td class="number">1,234.5</td><td>saturday</td><td>10135</td></tr></table>';
  const german = translatedPage(page);
  expect(german).toContain("Zum Teil gelöst: lesen Sie, was fehlt</p><ul><li>Tag 1, Samstag: nichts passt.</li>");
  expect(german).toContain('<th class="number">Ladung</th><th>Wochentag</th></tr><tr><td class="number">1.234,5</td><td>Samstag</td><td>10135</td>');
  expect(decodeURIComponent(german)).toContain("<text>Start und Ende</text></svg>\" alt=\"Karte des Ausflugs\"");
});
