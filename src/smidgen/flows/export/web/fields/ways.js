// How the words of a text become the value of a field: the same ways as smidgen's `tasks/field_parsing.py`.

import { dates } from "./dates.js";
import { folded, numbers } from "./numbers.js";

const SPACES = /[\p{White_Space}\x1c-\x1f]+/gu, EDGES = /^[\p{White_Space}\x1c-\x1f]+|[\p{White_Space}\x1c-\x1f]+$/gu;
const CASES = { same: (text) => text, lower: (text) => text.toLowerCase(), upper: (text) => text.toUpperCase(), title };
const LONGEST_SHAPE = 24;

export const stripped = (text) => text.replace(EDGES, "");
const spaced = (words) => stripped(words).replace(SPACES, " ");

/** `told` holds the names of numbers and months. Gives a function: words, a way, and which values fit, to a value, or null. */
export function ways(told) {
  const number = numbers(told.numbers), date = dates(told.months);
  return (words, way, fits) => {
    if (way.kind === "number") return first([number(words, way.mark)], fits);
    if (way.kind === "date") return first([date(words, way)], fits);
    if (way.kind === "words") return first([meant(words, way.values)], fits);
    const place = Object.hasOwn(way.shapes, shape(words)) ? way.shapes[shape(words)] : 0;
    const ordered = [way.ways[place], ...way.ways.slice(0, place), ...way.ways.slice(place + 1)];
    return first(ordered.map((one) => turned(words, one)), fits);
  };
}

const first = (values, fits) => values.find((value) => value !== null && fits(value)) ?? null;

/** Words as the text of a field, by one way. */
function turned(words, [kind, layout, turn]) {
  if (kind === "written") return stripped(words) || null;
  if (kind !== "layout") return CASES[kind](spaced(words)) || null;
  const letters = [...squeezed(words)];
  if (layout.reduce((sum, part) => sum + (typeof part === "number" ? part : 0), 0) !== letters.length) return null;
  let at = 0;
  return layout.map((part) => (typeof part === "string" ? part : CASES[turn](letters.slice(at, (at += part)).join("")))).join("");
}

/** The one value that words name, strictest first; null where that leaves two. */
function meant(words, values) {
  for (const same of [stripped, folded, plain]) {
    const own = same(stripped(words));
    const hit = values.filter((value) => said(value).some((name) => same(name) && own === same(name)));
    if (hit.length) return hit.length === 1 ? hit[0] : null;
  }
  const named = values.map((value) => said(value).map(plain)), shared = new Map();
  for (const names of named) for (const name of new Set(names)) shared.set(name, (shared.get(name) ?? 0) + 1);
  const inside = ` ${plain(words)} `;
  const among = values.filter((_, place) => named[place].some((name) => name && shared.get(name) === 1 && inside.includes(` ${name} `)));
  return among.length === 1 ? among[0] : null;
}

/** How words name a value of a few. */
function said(value) {
  return typeof value === "boolean" ? (value ? ["true", "yes"] : ["false", "no"]) : [String(value)];
}

const plain = (words) => (folded(words).match(/[\p{L}\p{N}]+/gu) ?? []).join(" ");
const squeezed = (words) => (words.match(/[\p{L}\p{N}]+/gu) ?? []).join("");

/** How words are written: letters as `a`, digits as `9`, one for each run. */
function shape(words) {
  return [...spaced(words).replace(/\p{Nd}+/gu, "9").replace(/[\p{L}\p{Nl}\p{No}]+/gu, "a")].slice(0, LONGEST_SHAPE).join("");
}

function title(text) {
  let inside = false;
  return [...text].map((letter) => {
    const cased = letter.toLowerCase() !== letter.toUpperCase();
    const [head, ...rest] = inside ? [letter.toLowerCase()] : letter.toUpperCase();
    inside = cased;
    return head + rest.join("").toLowerCase();
  }).join("");
}
