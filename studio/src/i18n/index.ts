import i18next from "i18next";
import { initReactI18next } from "react-i18next";

import en from "./en";
import { type Messages, setMessages } from "./messages";
import { type ServerTexts, setServerTexts } from "./serverTexts";

export const LANGUAGES = ["en", "de"] as const;
export type Language = (typeof LANGUAGES)[number];

const TEXTS: Record<Exclude<Language, "en">, () => Promise<{ default: object }>> = { de: () => import("./de") };
const SERVER_TEXTS: Record<Exclude<Language, "en">, () => Promise<{ default: ServerTexts }>> = { de: () => import("./server/de") };
const MESSAGES: Record<Exclude<Language, "en">, () => Promise<{ default: Messages }>> = { de: () => import("./server/de/messages") };
const STORED = "smidgen.language";

function preferred(): Language {
  const stored = localStorage.getItem(STORED);
  const found = [stored, ...navigator.languages].find((name) => LANGUAGES.some((known) => name?.startsWith(known)));
  return LANGUAGES.find((known) => found?.startsWith(known)) ?? "en";
}

async function load(language: Language): Promise<void> {
  setServerTexts(language === "en" ? null : (await SERVER_TEXTS[language]()).default);
  setMessages(language === "en" ? {} : (await MESSAGES[language]()).default);
  if (language !== "en" && !i18next.hasResourceBundle(language, "translation")) {
    i18next.addResourceBundle(language, "translation", (await TEXTS[language]()).default);
  }
}

/** Start with the stored language, or the browser's. English is built in; others are loaded when they are asked for. */
export async function startTranslation(): Promise<void> {
  const language = preferred();
  await i18next.use(initReactI18next).init({ lng: "en", fallbackLng: "en", resources: { en: { translation: en } }, interpolation: { escapeValue: false } });
  await setLanguage(language);
}

/** Change the language of the screens, and remember it on this machine. */
export async function setLanguage(language: Language): Promise<void> {
  await load(language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
  localStorage.setItem(STORED, language);
}

/** A number as the chosen language writes it. What is rounded to nothing has no sign. */
export function formatNumber(value: number, options: Intl.NumberFormatOptions = {}): string {
  return new Intl.NumberFormat(i18next.language, { signDisplay: "negative", ...options }).format(value);
}

/** A share from 0 to 1 as a percentage. */
export function formatShare(value: number, digits = 0): string {
  return formatNumber(value, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** An amount in US dollars, the currency of the price lists. */
export function formatMoney(value: number, digits = 2): string {
  return formatNumber(value, { style: "currency", currency: "USD", minimumFractionDigits: Math.min(2, digits), maximumFractionDigits: digits });
}

/** A point in time; `iso` is ISO 8601. */
export function formatTime(iso: string): string {
  return new Intl.DateTimeFormat(i18next.language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

/** A point in time, without its date where that is today's. */
export function formatWhen(time: Date, now = new Date()): string {
  const today = time.toDateString() === now.toDateString();
  return new Intl.DateTimeFormat(i18next.language, today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" }).format(time);
}

/** A day; `iso` is ISO 8601. */
export function formatDay(iso: string): string {
  return new Intl.DateTimeFormat(i18next.language, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(iso));
}

/** The name of a language, by its code. */
export function languageName(code: string): string {
  try {
    return new Intl.DisplayNames(i18next.language, { type: "language" }).of(code) ?? code;
  } catch {
    return code; // not a code, such as "other"
  }
}

/** What a member of a desk does, with its language where it is for one alone: `answer-de`. */
export function memberTitle(member: string): string {
  const [role = "", language = ""] = member.split("-");
  const title = i18next.t(`report.role.${role}`, { defaultValue: role });
  return language ? `${title} (${languageName(language)})` : title;
}

/** Seconds as "1 h 5 min", "3 min" or "40 s". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, min, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (h > 0) return `${h} h ${min} min`;
  return min > 0 ? `${min} min` : `${s} s`;
}
