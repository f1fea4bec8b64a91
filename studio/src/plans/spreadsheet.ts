import i18next from "i18next";

import { cellWords, columnWords } from "./tableWords";

/** Columns whose cells are names, even where they are written with digits alone. */
export const NAMES: ReadonlySet<string> = new Set(["item", "name", "supplier", "stop", "van", "address", "place"]);
export const NUMBER = /^-?\d+(\.\d+)?$/;
const CELL = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

/** A table of the server (CSV) as a spreadsheet of the chosen language opens it: its letters are told by a mark in front, and where numbers have a decimal comma, cells are parted by semicolons. */
export function spreadsheet(table: string): string {
  const comma = new Intl.NumberFormat(i18next.language).format(0.5).includes(",");
  const [head = [], ...rows] = cellsOf(table);
  const words = i18next.language === "en" ? (cell: string) => cell : cellWords;
  const shown = [head.map(columnWords), ...rows.map((row) => row.map((cell, place) => (NAMES.has(head[place] ?? "") ? cell : !NUMBER.test(cell) ? words(cell) : comma ? cell.replace(".", ",") : cell)))];
  return `\ufeff${shown.map((row) => row.map((cell) => quoted(cell, comma ? ";" : ",")).join(comma ? ";" : ",")).join("\r\n")}\r\n`;
}

function cellsOf(table: string): string[][] {
  const rows: string[][] = [[]];
  CELL.lastIndex = 0;
  while (CELL.lastIndex < table.length) {
    const [, inQuotes, plain = "", end] = CELL.exec(table) ?? [];
    rows.at(-1)?.push(inQuotes?.replaceAll('""', '"') ?? plain);
    if (end !== ",") rows.push([]);
    if (end === undefined) break; // no table of ours
  }
  return rows.filter((row) => row.length > 0);
}

function quoted(cell: string, mark: string): string {
  return cell.includes(mark) || /["\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
