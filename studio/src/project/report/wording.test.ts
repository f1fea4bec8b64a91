import i18next from "i18next";
import { expect, it } from "vitest";

import de from "../../i18n/de";
import { valuesTold } from "./wording";

it("has a word of its own for a value that was not found", async () => {
  const t = await i18next.createInstance().init({ lng: "de", resources: { de: { translation: de } }, interpolation: { escapeValue: false } });
  expect(valuesTold(t, "city: nothing; article: oak table; price: nothing")).toBe("city: (nichts); article: oak table; price: (nichts)");
  expect([valuesTold(t, "nothing"), valuesTold(t, "")]).toEqual(["(nichts)", "(nichts)"]);
  expect(valuesTold(t, "reason: nothing works; note: do nothing")).toBe("reason: nothing works; note: do nothing");
});
