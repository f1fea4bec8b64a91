import type { TriedText } from "./queries";

/** The texts of a list, one a line; blank lines are left out. */
export function linesOf(lines: string, most: number): TriedText[] {
  return lines
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .slice(0, most)
    .map((text) => ({ text }));
}

/** At most so many of some items, evenly spaced, in their order. */
export function evenly<I>(items: readonly I[], most: number): I[] {
  const count = Math.min(most, items.length);
  return Array.from({ length: count }, (_, place) => items[Math.floor((place * items.length) / count)] as I);
}

/** A pasted list as a file that keeps every letter: one JSON object a line. */
export function listFile(lines: string, name: string): File {
  const rows = linesOf(lines, 100_000).map(({ text }) => JSON.stringify({ text }));
  return new File([rows.join("\n")], `${name}.jsonl`);
}
