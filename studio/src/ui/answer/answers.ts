import type { components } from "../../api/schema";
import type { Place } from "./segments";

export type AnswerForm = components["schemas"]["ProjectAnswerForm"];
export type AnswerField = components["schemas"]["AnswerField"];
export type Shape = AnswerForm["shape"];

/** A place in a text that an answer names, in characters as Python counts them. */
export interface Mark extends Place {
  label: string;
  score?: number | null;
}

/** How the two words of a yes-or-no field are written. */
export interface Words {
  yes: string;
  no: string;
}

export interface Span {
  start: number;
  end: number;
  label: string;
}

export type Fields = Readonly<Record<string, unknown>>;

/** Whether an answer is an object of fields. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSpan(value: unknown): value is Span {
  return isFields(value) && typeof value["label"] === "string" && typeof value["start"] === "number" && typeof value["end"] === "number";
}

/** How an answer looks, by itself; `empty` is what an empty list means in its project. */
export function shapeOf(value: unknown, empty: Shape = "spans"): Shape {
  if (typeof value === "string") return "label";
  if (isFields(value)) return "fields";
  if (!Array.isArray(value)) return "value";
  if (value.length === 0) return empty;
  if (value.every(isSpan)) return "spans";
  return value.every((one) => typeof one === "string") ? "labels" : "value";
}

/** The spans of an answer; none for an answer of another kind. */
export function spansOf(value: unknown): readonly Span[] {
  return Array.isArray(value) ? value.filter(isSpan) : [];
}

/** The words of a text at a place. */
export function wordsAt(text: string, place: Place): string {
  return Array.from(text).slice(place.start, place.end).join("");
}

/** Whether a field says nothing. */
export function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || (typeof value === "string" && value.trim() === "") || (Array.isArray(value) && value.length === 0);
}

/** The fields of an answer with their values, in order. Names of nested ones are joined by dots. */
export function entriesOf(fields: Fields, before = ""): [string, unknown][] {
  return Object.entries(fields).flatMap(([name, value]): [string, unknown][] => (isFields(value) && Object.keys(value).length > 0 ? entriesOf(value, `${before}${name}.`) : [[before + name, value]]));
}

/** The value of a field by its path; undefined where it has none. */
export function valueAt(fields: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((inner, name) => (isFields(inner) ? inner[name] : undefined), fields);
}

/** An object of fields from values by path. */
export function nested(values: readonly (readonly [string, unknown])[]): Fields {
  const made: Record<string, unknown> = {};
  for (const [path, value] of values) {
    const names = path.split(".");
    const last = names.pop() ?? path;
    let inner = made;
    for (const name of names) {
      const next = inner[name];
      inner = isFields(next) ? (next) : (inner[name] = {});
    }
    inner[last] = value;
  }
  return made;
}

/** A value as a person reads it: a list with commas, yes or no, anything nested as JSON. */
export function valueText(value: unknown, words: Words): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? words.yes : words.no;
  if (typeof value === "string" || typeof value === "number") return String(value);
  if (Array.isArray(value) && value.every((one) => typeof one !== "object" || one === null)) return value.map((one) => valueText(one, words)).join(", ");
  return JSON.stringify(value);
}

/** An answer in one line: a label, labels with commas, what each field says, or the words of each span after its kind. */
export function lineOf(value: unknown, text: string, words: Words): string {
  switch (shapeOf(value)) {
    case "fields":
      return entriesOf(value as Fields)
        .filter(([, one]) => !isEmpty(one))
        .map(([name, one]) => `${name}: ${valueText(one, words)}`)
        .join(" · ");
    case "spans":
      return spansOf(value)
        .map((span) => `${span.label}: ${wordsAt(text, span)}`)
        .join(" · ");
    default:
      return valueText(value, words);
  }
}

/** Whether two fields say the same: blanks around a text and the kinds of emptiness make no difference. */
export function sameValue(one: unknown, other: unknown): boolean {
  if (isEmpty(one) || isEmpty(other)) return isEmpty(one) && isEmpty(other);
  const plain = (value: unknown): string => JSON.stringify(typeof value === "string" ? value.trim() : Array.isArray(value) ? value.map((entry) => JSON.stringify(entry)).sort() : value);
  return plain(one) === plain(other);
}

/** Where a text says the values of fields: each value's first place that no longer value has, whole words only. */
export function placesOf(text: string, entries: readonly (readonly [string, unknown])[]): Mark[] {
  const found: { start: number; end: number; label: string }[] = [];
  const wanted = entries
    .flatMap(([label, value]) => (Array.isArray(value) ? value.map((one) => [label, one] as const) : [[label, value] as const]))
    .map(([label, value]) => ({ label, words: typeof value === "string" ? value.trim() : typeof value === "number" ? String(value) : "" }))
    .filter(({ words }) => words !== "")
    .sort((one, other) => other.words.length - one.words.length);
  for (const { label, words } of wanted) {
    const place = freePlace(text, words, found);
    if (place !== null) found.push({ start: place, end: place + words.length, label });
  }
  const letters = (units: number) => Array.from(text.slice(0, units)).length;
  return found.sort((one, other) => one.start - other.start).map(({ start, end, label }) => ({ start: letters(start), end: letters(end), label }));
}

function freePlace(text: string, words: string, taken: readonly Place[]): number | null {
  const [whole, wanted] = [text.toLowerCase(), words.toLowerCase()];
  if (whole.length !== text.length) return null; // a letter that gets longer in lower case would shift all places
  for (let start = whole.indexOf(wanted); start >= 0; start = whole.indexOf(wanted, start + 1)) {
    const end = start + wanted.length;
    const inWord = (at: number, beside: number) => /[\p{L}\p{N}]/u.test(whole.charAt(at)) && /[\p{L}\p{N}]/u.test(whole.charAt(beside));
    if (inWord(start - 1, start) || inWord(end, end - 1)) continue;
    if (!taken.some((one) => one.start < end && start < one.end)) return start;
  }
  return null;
}

/** What somebody typed into a field, as the field takes it; undefined where it takes something else. */
export function read(field: Pick<AnswerField, "kind" | "many"> & Partial<Pick<AnswerField, "options">>, typed: string): unknown {
  const plain = typed.trim();
  if (field.many && field.kind !== "json") {
    const all = typed
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => read({ ...field, many: false }, line));
    return all.includes(undefined) ? undefined : all;
  }
  if (plain === "") return null;
  if (field.kind === "choice") return field.options?.find((option) => String(option) === plain);
  if (field.kind === "truth") return plain === "true";
  if (field.kind === "json") {
    try {
      return JSON.parse(plain) as unknown;
    } catch {
      return undefined;
    }
  }
  if (field.kind === "number" || field.kind === "integer") {
    const number = Number(plain.replace(",", "."));
    return Number.isFinite(number) && (field.kind === "number" || Number.isInteger(number)) ? number : undefined;
  }
  return plain;
}

/** A field's value as it stands in its box; the opposite of `read`. */
export function typedText(field: Pick<AnswerField, "kind" | "many">, value: unknown): string {
  if (isEmpty(value)) return "";
  if (field.kind === "json") return JSON.stringify(value);
  if (Array.isArray(value)) return value.map(String).join("\n");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The fields to fill in: those of the form, then those that only this answer has. */
export function fieldsFor(form: Pick<AnswerForm, "fields">, value: unknown): readonly AnswerField[] {
  const known = new Set(form.fields.map((field) => field.path));
  const more = isFields(value) ? entriesOf(value).filter(([path]) => !known.has(path)) : [];
  return [...form.fields, ...more.map(([path, one]) => newField(path, one))];
}

/** A field that no row has yet. */
export function newField(path: string, value?: unknown): AnswerField {
  const kind = typeof value === "number" ? "number" : typeof value === "boolean" ? "truth" : typeof value === "object" && value !== null ? "json" : "text";
  return { path, kind, options: [], many: false, about: "", rows: 0, values: [] };
}

/** The fields, by path, in which two answers say different things. */
export function differingFields(one: Fields, other: Fields): ReadonlySet<string> {
  const paths = [...entriesOf(one), ...entriesOf(other)].map(([path]) => path);
  return new Set(paths.filter((path) => !sameValue(valueAt(one, path), valueAt(other, path))));
}

/** Whether two answers say the same: field by field, or as JSON. */
export function agreeing(one: unknown, other: unknown): boolean {
  if (isFields(one) && isFields(other)) return differingFields(one, other).size === 0;
  return one !== null && JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}
