import i18next from "i18next";

import { told, toldValue } from "../i18n/serverTexts";
import { cellWords, columnWords } from "./tableWords";
import { read, translatedDrawing, written } from "./translatedDrawing";

const WORDS = /(<(?!style\b|script\b)([a-z]\w*)\b([^>]*)>)([^<]*[^<\s][^<]*)/g;
const PICTURE = /src="data:image\/svg\+xml;base64,([^"]*)" alt="[^"]*"/g;

/** A page that the server made (HTML) with its words and pictures in the chosen language. What follows a closing tag, and what is marked with translate="no", is not said by the server and stays. */
export function translatedPage(page: string): string {
  return page
    .replace('<html lang="en">', `<html lang="${i18next.language}">`)
    .replace(WORDS, (whole, tag: string, name: string, marks: string, words: string) => (marks.includes('translate="no"') ? whole : tag + written(wordsIn(name, marks, read(words)))))
    .replace(PICTURE, (_, drawing: string) => {
      const { words, source } = translatedDrawing(new TextDecoder().decode(Uint8Array.from(atob(drawing), (byte) => byte.charCodeAt(0))));
      return `src="${source}" alt="${written(words)}"`;
    });
}

function wordsIn(element: string, marks: string, words: string): string {
  if (element === "th") return columnWords(words);
  if (element !== "td") return told(words);
  return marks.includes('class="number"') ? toldValue(words) : cellWords(words);
}
