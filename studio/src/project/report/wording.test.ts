import i18next from "i18next";
import { expect, it } from "vitest";

import de from "../../i18n/de";
import { messagesOf, parsed, valuesTold } from "./wording";

it("has a word of its own for a value that was not found", async () => {
  const t = await i18next.createInstance().init({ lng: "de", resources: { de: { translation: de } }, interpolation: { escapeValue: false } });
  expect(valuesTold(t, "city: nothing; article: oak table; price: nothing")).toBe("city: (nichts); article: oak table; price: (nichts)");
  expect([valuesTold(t, "nothing"), valuesTold(t, "")]).toEqual(["(nichts)", "(nichts)"]);
  expect(valuesTold(t, "reason: nothing works; note: do nothing")).toBe("reason: nothing works; note: do nothing");
});

it("reads a conversation and what a desk did, and leaves plain words alone", () => {
  expect(messagesOf('[{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "my order?"}]')).toEqual(["hello", "my order?"]);
  expect([messagesOf("[sic] where is it"), messagesOf("hello")]).toEqual([["[sic] where is it"], ["hello"]]);
  expect([parsed('{"outcome": "asked"}'), parsed('{"outcome": "as')]).toEqual([{ outcome: "asked" }, {}]);
});
