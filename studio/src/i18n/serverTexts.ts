import i18next from "i18next";

/** English texts of the server with numbered gaps ("{1} rows to learn from"), and what a language says instead. */
export type ServerTexts = Readonly<Record<string, string>>;

interface Pattern {
  shape: RegExp;
  /** Letters beside the gaps: of two patterns that fit, the one with more of them counts. */
  fixed: number;
  numbers: readonly string[];
  says: string;
}

interface Catalogue {
  exact: ReadonlyMap<string, string>;
  patterns: readonly Pattern[];
}

const GAP = /\{(\d)\}/g;
const EMPTY: Catalogue = { exact: new Map(), patterns: [] };
let catalogue = EMPTY;

/** Take the texts of a language; without any, what the server says stays as it is. */
export function setServerTexts(texts: ServerTexts | null): void {
  catalogue = texts === null ? EMPTY : { exact: new Map(Object.entries(texts).filter(([text]) => !text.includes("{1}"))), patterns: patternsOf(texts) };
}

function patternsOf(texts: ServerTexts): Pattern[] {
  const found = Object.entries(texts).flatMap(([text, says]) => {
    const numbers = [...text.matchAll(GAP)].map((gap) => gap[1] as string);
    if (numbers.length === 0) return [];
    const shape = text.split(GAP).map((piece, place) => (place % 2 ? "([\\s\\S]+?)" : piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
    return [{ shape: new RegExp(`^${shape.join("")}$`), fixed: text.replace(GAP, "").length, numbers, says }];
  });
  return found.sort((one, other) => other.fixed - one.fixed);
}

/** What the server says, in the chosen language; null where it has no words for it. */
export function translated(text: string): string | null {
  if (catalogue === EMPTY) return text;
  return found(text) ?? withoutStop(text) ?? null;
}

/** What the server says in the chosen language, or in English where it has no words for it. */
export function told(text: string): string {
  return translated(text) ?? text;
}

/** Sentences of the server begin with a capital here and a small letter there, with and without a full stop. */
function withoutStop(text: string): string | null {
  const small = text.charAt(0).toLowerCase() + text.slice(1);
  const bare = small.replace(/\.$/, "");
  const known = found(small) ?? found(bare);
  if (known === null) return null;
  return text.endsWith(".") && !/[.:!?]$/.test(known) ? `${known}.` : known;
}

function found(text: string): string | null {
  const exact = catalogue.exact.get(text);
  if (exact !== undefined) return exact;
  for (const { shape, numbers, says } of catalogue.patterns) {
    const match = shape.exec(text);
    if (match) return says.replace(GAP, (_, number: string) => toldValue(match[numbers.indexOf(number) + 1] ?? ""));
  }
  return null;
}

/** What stands in a gap: words that are known as they are ("2 days"), a number as the language writes it, or other words. */
export function toldValue(text: string): string {
  return catalogue.exact.get(text) ?? localNumber(text) ?? told(text);
}

const NUMBER = /^([+-]?\d[\d,]*)(\.\d+)?([ \u00a0]?%|[ \u00a0][a-zA-Z/]{1,9})?$/;

/** "1,234.50 ms" as the language writes it; null where the text is no number. */
function localNumber(text: string): string | null {
  const match = NUMBER.exec(text);
  if (!match) return null;
  const [, whole = "", rest = "", unit = ""] = match;
  const digits = Math.max(0, rest.length - 1);
  const sign = whole.startsWith("+") ? { signDisplay: "always" as const } : {};
  const number = new Intl.NumberFormat(i18next.language, { minimumFractionDigits: digits, maximumFractionDigits: digits, ...sign }).format(Number(whole.replaceAll(",", "") + rest));
  return number + (unit.endsWith("%") ? " %" : unit);
}
