import { told, toldValue } from "../i18n/serverTexts";

/** Words of an element without children. Those of names are marked with translate="no" where they might be taken for others. */
const WORDS = /(<(text|title)\b(?![^>]*translate="no")[^>]*>)([^<]*)(?=<\/\2>)/g;
const LABEL = /^(<svg\b[^>]*\baria-label=")([^"]*)/;
const SIGNS: readonly (readonly [string, string])[] = [
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&#x27;"],
  ["&", "&amp;"],
];

/** An SVG drawing of the server with its words in the chosen language: its title, the drawing, and it as the address of an image. It is never parsed as a document, whose styles the page's policy would refuse. */
export function translatedDrawing(svg: string): { words: string; drawing: string; source: string } {
  const words = told(read(LABEL.exec(svg)?.[2] ?? ""));
  const texts = svg.replace(WORDS, (_, tag: string, name: string, inside: string) => tag + written((name === "text" ? toldValue : told)(read(inside))));
  const drawing = texts.replace(LABEL, (_, before: string) => before + written(words));
  return { words, drawing, source: `data:image/svg+xml,${encodeURIComponent(drawing)}` };
}

/** Words as a page of the server writes them, as they are meant. */
export function read(words: string): string {
  return SIGNS.reduce((text, [sign, code]) => text.replaceAll(code, sign), words.replaceAll("&#39;", "'").replaceAll("&#34;", '"'));
}

/** Words as a page writes them. */
export function written(words: string): string {
  return SIGNS.reduceRight((text, [sign, code]) => text.replaceAll(sign, code), words);
}
