import { told, toldValue } from "../i18n/serverTexts";

const WORDS = /(<(text|title)\b[^>]*>)([^<]*)(?=<\/\2>)/g;
const SIGNS: readonly (readonly [string, string])[] = [
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&#x27;"],
  ["&", "&amp;"],
];

/** An SVG drawing of the server with its words in the chosen language: its title, and the address of an image. It is never parsed as a document, whose styles the page's policy would refuse. */
export function translatedDrawing(svg: string): { words: string; source: string } {
  const drawing = svg.replace(WORDS, (_, tag: string, __: string, words: string) => tag + written(toldValue(read(words))));
  const words = /^<svg\b[^>]*\baria-label="([^"]*)"/.exec(svg)?.[1] ?? "";
  return { words: told(read(words)), source: `data:image/svg+xml,${encodeURIComponent(drawing)}` };
}

function read(words: string): string {
  return SIGNS.reduce((text, [sign, code]) => text.replaceAll(code, sign), words.replaceAll("&#39;", "'"));
}

function written(words: string): string {
  return SIGNS.reduceRight((text, [sign, code]) => text.replaceAll(sign, code), words);
}
