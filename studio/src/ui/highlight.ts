/** A piece of a text: marked where it is one of the phrases that were looked for. */
export interface TextPiece {
  text: string;
  marked: boolean;
}

/** A text cut at every place of these phrases, whatever their case. The longest phrase counts where several begin at one place. */
export function highlight(text: string, phrases: readonly string[]): TextPiece[] {
  const wanted = [...new Set(phrases.map((phrase) => phrase.trim()).filter(Boolean))].sort((one, other) => other.length - one.length);
  if (wanted.length === 0) return [{ text, marked: false }];
  const escaped = wanted.map((phrase) => phrase.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+"));
  // A phrase is whole words: "red" does not mark a part of "tired".
  const parts = text.split(new RegExp(`(?<![\\p{L}\\p{N}])(${escaped.join("|")})(?![\\p{L}\\p{N}])`, "giu"));
  return parts.map((part, place) => ({ text: part, marked: place % 2 === 1 })).filter((piece) => piece.text !== "");
}
