import type { TFunction } from "i18next";

import { told } from "../i18n/serverTexts";
import { labelOf } from "./schema";

/** A setting's name on the screen: that of its section, that of all sections, or the name in the recipe for a part that was added. */
export function settingTitle(t: TFunction, section: string, name: string): string {
  const own = t(`setting.${section.replaceAll(".", "_") || "top"}_${name}`, { defaultValue: "" });
  return own || t(`setting.${name}`, { defaultValue: labelOf(name) });
}

/** What a setting does, from its schema, in the chosen language. */
export function settingHelp(text: string | undefined): string {
  return told(text ?? "").replaceAll("`", "");
}

/** A choice of a setting in words, with the word of the recipe behind it, by which the help calls it. */
export function optionName(t: TFunction, setting: string, value: string): string {
  const name = t(`${(setting === "kind" || setting === "among") && value !== "auto" ? "student" : "option"}.${value}`, { defaultValue: value });
  return name === value || value === "true" || value === "false" ? name : `${name} (${value})`;
}

const WHOLE = ["", "none", "fp32", "f32", "f16"];

/** A model in words: its kind, and how it was made smaller. */
export function candidateName(t: TFunction, kind: string, method: string | null | undefined): string {
  const name = kind.includes("+") ? kind.split("+").map((part) => t(`student.${part}`, { defaultValue: part })).join(" + ") : t(`student.${kind}`, { defaultValue: kind });
  return WHOLE.includes(method ?? "") ? name : t("student.smaller", { name, method });
}
