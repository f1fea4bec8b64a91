import i18next from "i18next";
import { expect, it } from "vitest";

import en from "../../i18n/en";
import { stepName } from "./runs";

it("names each kind of model in a step as the report does", async () => {
  const t = await i18next.createInstance().init({ lng: "en", resources: { en: { translation: en } }, interpolation: { escapeValue: false } });
  expect(stepName(t, "train linear on every row")).toBe("train “Word counter” on every row");
  expect(stepName(t, "cross-validate kernel, part 1 of 5")).toBe("cross-validate “Language model with quick comparison”, part 1 of 5");
  expect(stepName(t, "measure the packed bundle on the test rows")).toBe("measure the packed bundle on the test rows");
});
