/** A tool's settings as a form holds them, and back: the file's words in, what a person typed out. */

export type Settings = Record<string, unknown>;
export type Kind = "sql" | "http" | "given";

export interface ArgumentDraft {
  name: string;
  /** By language; one for every language stands under "". */
  titles: Record<string, string>;
  type: string;
  required: boolean;
  pattern: string;
  choices: string;
  /** What else the schema says, which stays as it is. */
  rest: Settings;
}

export interface ExampleDraft {
  message: string;
  arguments: Record<string, string>;
}

export interface ToolDraft {
  name: string;
  description: string;
  words: Record<string, string>;
  kind: Kind;
  sql: string;
  method: string;
  url: string;
  headers: { name: string; value: string }[];
  body: string;
  changes: boolean;
  asks: boolean;
  owner: string[];
  guard: string;
  answer: Record<string, string>;
  nothing: Record<string, string>;
  arguments: ArgumentDraft[];
  examples: ExampleDraft[];
  /** Settings that the form has no field for, which stay as they are. */
  rest: Settings;
}

export const LANGUAGES = ["en", "de"] as const;
/** Kinds of arguments: a type of JSON Schema, with a format where it has one. */
export const TYPES = ["string", "email", "date", "integer", "number", "boolean", "array", "object"] as const;
const FORMATS = ["email", "date"];
const KNOWN = ["name", "description", "words", "sql", "http", "changes", "confirm", "owner", "guard", "answer", "nothing", "arguments", "examples"];
const OF_ARGUMENT = ["title", "type", "format", "required", "pattern", "enum"];
const OF_HTTP = ["method", "url", "headers", "body"];

function table(value: unknown): Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Settings) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
}

function without(value: Settings, names: readonly string[]): Settings {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
}

/** A text by language; one for every language stands under "". */
function byLanguage(value: unknown): Record<string, string> {
  if (typeof value === "string") return value ? { "": value } : {};
  return Object.fromEntries(Object.entries(table(value)).map(([name, one]) => [name, text(one)]));
}

/** An argument's name for people: in English, where it has one; else its short name. */
export function shown(one: Pick<ArgumentDraft, "name" | "titles">): string {
  return one.titles[""] || one.titles.en || Object.values(one.titles).find(Boolean) || one.name;
}

/** The name for people of an argument of a list. */
export function shownIn(list: readonly ArgumentDraft[], name: string): string {
  const found = list.find((one) => one.name === name);
  return found ? shown(found) : name;
}

/** Words by language, where one text stood for all. */
export function spread(words: Record<string, string>): Record<string, string> {
  const { "": all, ...named } = words;
  return all ? { en: all, ...named } : named;
}

/** A new tool. */
export function emptyDraft(): ToolDraft {
  return { name: "", description: "", words: { en: "", de: "" }, kind: "sql", sql: "", method: "GET", url: "", headers: [], body: "", changes: false, asks: false, owner: [], guard: "", answer: {}, nothing: {}, arguments: [], examples: [], rest: {} };
}

/** A tool's settings as a form. `schema`: of its arguments, where the file does not state them; `changes`: as it is read. */
export function draftOf(name: string, settings: Settings, given: boolean, changes: boolean, schema: Settings): ToolDraft {
  const http = table(settings.http);
  const stated = given ? table(schema.properties) : table(settings.arguments);
  const required = Array.isArray(schema.required) ? schema.required : [];
  return {
    name: given ? text(settings.name) || name : name,
    description: text(settings.description),
    words: byLanguage(settings.words),
    kind: given ? "given" : settings.http !== undefined ? "http" : "sql",
    sql: text(settings.sql),
    method: text(http.method) || "GET",
    url: text(http.url),
    headers: Object.entries(table(http.headers)).map(([one, value]) => ({ name: one, value: text(value) })),
    body: http.body === undefined ? "" : JSON.stringify(http.body, null, 2),
    changes: typeof settings.changes === "boolean" ? settings.changes : changes,
    asks: settings.confirm !== "never",
    owner: Array.isArray(settings.owner) ? settings.owner.map(text) : [],
    guard: text(settings.guard),
    answer: byLanguage(settings.answer),
    nothing: byLanguage(settings.nothing),
    arguments: Object.entries(stated).map(([one, value]) => argumentOf(one, table(value), given ? required.includes(one) : table(value).required !== false)),
    examples: (Array.isArray(settings.examples) ? settings.examples : []).map((one: unknown) => ({
      message: text(table(one).message),
      arguments: Object.fromEntries(Object.entries(table(table(one).arguments)).map(([arg, value]) => [arg, text(value)])),
    })),
    rest: { ...without(settings, KNOWN), ...(Object.keys(without(http, OF_HTTP)).length ? { http: without(http, OF_HTTP) } : {}) },
  };
}

/** An argument as a form holds it. */
export function argumentOf(name: string, given: Settings, required: boolean): ArgumentDraft {
  const format = text(given.format);
  const known = FORMATS.includes(format);
  return {
    name,
    titles: byLanguage(given.title),
    type: known ? format : text(given.type) || "string",
    required,
    pattern: text(given.pattern),
    choices: Array.isArray(given.enum) ? given.enum.map(text).join(", ") : "",
    rest: { ...without(given, OF_ARGUMENT), ...(format && !known ? { format } : {}) },
  };
}

function spoken(words: Record<string, string>): string | Record<string, string> | undefined {
  const said = Object.fromEntries(Object.entries(words).filter(([, one]) => one.trim()));
  const names = Object.keys(said);
  if (names.length === 0) return undefined;
  return names.length === 1 && names[0] === "" ? said[""] : said;
}

/** A form as the settings of a file. Values of examples get the type of their argument. */
export function settingsOf(draft: ToolDraft): Settings {
  const given = draft.kind === "given";
  const http = {
    ...table(draft.rest.http),
    method: draft.method,
    url: draft.url,
    ...(draft.headers.length ? { headers: Object.fromEntries(draft.headers.filter((one) => one.name.trim()).map((one) => [one.name.trim(), one.value])) } : {}),
    ...(draft.body.trim() ? { body: parsedBody(draft.body) } : {}),
  };
  const settings: Settings = {
    ...(draft.description.trim() || !given ? { description: draft.description.trim() } : {}),
    words: spoken(draft.words) ?? (given ? undefined : ""),
    changes: draft.changes,
    ...(draft.asks && !draft.changes ? { confirm: "always" } : draft.changes ? {} : { confirm: "never" }),
    ...(draft.owner.length ? { owner: draft.owner } : {}),
    ...(draft.guard.trim() ? { guard: draft.guard } : {}),
    ...without(draft.rest, ["http"]),
    answer: spoken(draft.answer),
    nothing: spoken(draft.nothing),
    ...(given ? { name: draft.name } : draft.kind === "sql" ? { sql: draft.sql } : { http }),
    ...(draft.examples.length ? { examples: draft.examples.filter((one) => one.message.trim()).map((one) => ({ message: one.message.trim(), arguments: exampleArguments(one, draft.arguments) })) } : {}),
    ...(!given && draft.arguments.length ? { arguments: Object.fromEntries(draft.arguments.map((one) => [one.name.trim(), schemaOf(one)])) } : {}),
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function parsedBody(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return body;
  }
}

function schemaOf(one: ArgumentDraft): Settings {
  const format = FORMATS.includes(one.type) ? { format: one.type } : {};
  const title = spoken(Object.fromEntries(Object.entries(one.titles).map(([language, said]) => [language, said.trim()])));
  const choices = one.choices.split(",").map((choice) => choice.trim()).filter(Boolean);
  return {
    type: FORMATS.includes(one.type) ? "string" : one.type,
    ...format,
    ...one.rest,
    ...(one.pattern.trim() ? { pattern: one.pattern.trim() } : {}),
    ...(choices.length ? { enum: choices.map((choice) => typed(choice, one.type)) } : {}),
    ...(title === undefined ? {} : { title }),
    ...(one.required ? {} : { required: false }),
  };
}

function exampleArguments(one: ExampleDraft, known: readonly ArgumentDraft[]): Settings {
  const filled = Object.entries(one.arguments).filter(([, value]) => value.trim());
  return Object.fromEntries(filled.map(([name, value]) => [name, typed(value, known.find((each) => each.name === name)?.type ?? "string")]));
}

/** A typed text as a value of an argument's type; the text itself where it is none. */
export function typed(value: string, type: string): unknown {
  const bare = value.trim();
  if (type === "integer" || type === "number") return bare !== "" && Number.isFinite(Number(bare)) ? Number(bare) : bare;
  if (type === "boolean") return bare === "true" ? true : bare === "false" ? false : bare;
  if (type === "array" || type === "object") return parsedBody(bare);
  return bare;
}

/** The mistakes at a field and below it. */
export function faultsAt(mistakes: readonly { place: string; text: string }[], ...places: string[]): string {
  return mistakes
    .filter((one) => places.some((place) => one.place === place || one.place.startsWith(`${place}.`) || one.place.startsWith(`${place}[`)))
    .map((one) => one.text)
    .join("; ");
}

export interface Piece {
  text: string;
  argument: string;
}

/** A message with the places of its arguments' values marked, each once. */
export function marked(message: string, values: Record<string, string>): Piece[] {
  const places = Object.entries(values)
    .map(([argument, value]) => ({ argument, start: value.trim() ? message.toLowerCase().indexOf(value.trim().toLowerCase()) : -1, length: value.trim().length }))
    .filter((one) => one.start >= 0)
    .sort((one, other) => one.start - other.start);
  const pieces: Piece[] = [];
  let end = 0;
  for (const place of places) {
    if (place.start < end) continue;
    if (place.start > end) pieces.push({ text: message.slice(end, place.start), argument: "" });
    pieces.push({ text: message.slice(place.start, place.start + place.length), argument: place.argument });
    end = place.start + place.length;
  }
  if (end < message.length) pieces.push({ text: message.slice(end), argument: "" });
  return pieces;
}

const EMAIL = "[^\\s@]+@[^\\s@]+\\.[A-Za-z]+";

/** The values of a message that show by their form: an e-mail address, or what fits an argument's pattern. */
export function valuesIn(message: string, known: readonly ArgumentDraft[]): Record<string, string> {
  return Object.fromEntries(
    known.flatMap(({ name, type, pattern }) => {
      const form = type === "email" ? EMAIL : pattern.replace(/^\^|\$$/g, "");
      try {
        const found = name && form ? new RegExp(form).exec(message)?.[0] : undefined;
        return found ? [[name, found]] : [];
      } catch {
        return []; // the server tells of a pattern that is none
      }
    }),
  );
}
