import i18next from "i18next";

import { told } from "../i18n/serverTexts";

/** The head of a column in the chosen language. */
export function columnWords(column: string): string {
  return i18next.t(`plan.column.${column}`, { defaultValue: told(column) });
}

/** A cell in the chosen language: words that a solver gives in lower case, joined by a plus where there are several, or a sentence. */
export function cellWords(cell: string): string {
  if (!/^[a-z]+(\+[a-z]+)*$/.test(cell)) return told(cell);
  return cell.split("+").map((word) => i18next.t(`plan.cell.${word}`, { defaultValue: word })).join(" + ");
}
