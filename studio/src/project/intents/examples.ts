/** Examples from which on a kind of message is recognised well. */
export const ENOUGH = 10;
/** The fewest that can be saved. */
export const LEAST = 2;

/** The examples in a text, one a line, each once. */
export function examplesIn(text: string): string[] {
  return [...new Set(text.split("\n").map((line) => line.trim().replace(/\s+/g, " ")))].filter(Boolean);
}
