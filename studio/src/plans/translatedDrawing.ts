import { told, toldValue } from "../i18n/serverTexts";

/** An SVG drawing of the server with its words in the chosen language: its title, and the address of an image. A file that is no drawing stays as it is. */
export function translatedDrawing(svg: string): { words: string; source: string } {
  const drawing = new DOMParser().parseFromString(svg, "image/svg+xml");
  for (const one of drawing.querySelectorAll("text, title")) one.textContent = toldValue(one.textContent);
  const words = told(drawing.documentElement.getAttribute("aria-label") ?? "");
  return { words, source: `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(drawing))}` };
}
