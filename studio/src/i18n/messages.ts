import i18next from "i18next";

import { toldValue } from "./serverTexts";

/** What an error says: what happened, the value if it is a phrase, and what to do next. */
interface Sentences {
  what: string;
  value?: string;
  todo: string;
}

/** The server's messages in a language, by code ("data.file_is_empty"). */
export type Messages = Readonly<Record<string, Sentences>>;

type Catalogue = Readonly<Record<string, Messages>>;

const PLACE = /\{\{|\}\}|\{(\w+)(?:, (number|quoted))?\}/g;
let messages: Messages = {};

/** Take the messages of a language; without any, the server's English is shown. */
export function setMessages(taken: Messages): void {
  messages = taken;
}

/** A message of the server in the chosen language; null where there is none for its code. */
export function messageOf(code: string | undefined, values: Readonly<Record<string, unknown>> = {}): Sentences | null {
  const found = code === undefined ? undefined : messages[code];
  if (found === undefined) return null;
  const filled = (text: string) => text.replace(PLACE, (place: string, name: string | undefined, form: string | undefined) => (name === undefined ? place.charAt(0) : shown(values[name], form)));
  return { what: filled(found.what), todo: filled(found.todo), ...(found.value !== undefined && { value: filled(found.value) }) };
}

/** The messages in some catalogues, each a table of rooms, by code. */
export function messagesOf(catalogues: Record<string, unknown>): Messages {
  const rooms = Object.values(catalogues as Record<string, Catalogue>).flatMap((catalogue) => Object.entries(catalogue));
  return Object.fromEntries(rooms.flatMap(([room, messages]) => Object.entries(messages).map(([name, sentences]) => [`${room}.${name}`, sentences])));
}

/** English sentences with numbered gaps, and their translations, for sentences that arrive within a text, without their code. */
export function pairsOf(english: Messages, translations: Messages): Record<string, string> {
  const pairs = Object.entries(english).flatMap(([code, sentences]) => Object.entries(sentences).map(([piece, text]) => numbered(text as string, translations[code]?.[piece as keyof Sentences] ?? "")));
  return Object.fromEntries(pairs.filter(([text, translation]) => translation !== "" && text.replace(/\{\d\}/g, "").length >= LEAST_LETTERS));
}

/** A sentence shorter than this, without its gaps, would match others. */
const LEAST_LETTERS = 8;

function numbered(text: string, translation: string): [string, string] {
  const names = [...text.matchAll(PLACE)].flatMap((place) => place[1] ?? []);
  if (names.length > 9 || new Set(names).size < names.length) return [text, ""]; // a gap has one digit, and matches once
  const number = (sentence: string) => sentence.replace(PLACE, (place: string, name: string | undefined) => (name === undefined ? place.charAt(0) : `{${names.indexOf(name) + 1}}`));
  return [number(text), number(translation)];
}

function shown(value: unknown, form: string | undefined): string {
  if (typeof value === "number" && (form === "number" || !Number.isInteger(value))) return new Intl.NumberFormat(i18next.language, { maximumFractionDigits: 6 }).format(value);
  return form === "quoted" ? `„${String(value)}“` : typeof value === "string" ? toldValue(value) : String(value);
}
