/** A policy's form: its settings as the server tells them, read and changed by the page. */

import type { Policy } from "./queries";

export const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;
export type Day = (typeof DAYS)[number];
export const LANGUAGES = ["en", "de"] as const;

export interface PolicyForm {
  languages: string[];
  intents: Record<string, string[]>;
  unknown: string[];
  least_intent: number;
  least_act: number;
  least_recommend: number;
  hours: Record<Day, string> & { timezone: string; closed: string[] };
  hand_over: { after_unanswered: number };
  privacy: Privacy;
  texts: Record<string, Record<string, string>>;
}

/** What the policy's cards share: the form, a way to change it, what is wrong, and what may be named. */
export interface PolicyPart {
  form: PolicyForm;
  set: (form: PolicyForm) => void;
  policy: Policy;
  may: boolean;
}

export const PRIVACY = ["off", "mask", "health", "card"] as const;

/** What becomes of customers' personal data. `kinds`: the action for single kinds, such as `place=allow`. */
export interface Privacy {
  policy: (typeof PRIVACY)[number];
  kinds: string[];
  stored: boolean;
  handed_over: boolean;
  fallback: boolean;
}

const ALLOW = /^\s*([^=]+?)\s*=\s*allow\s*$/;

/** The kinds that are left as they are. */
export function allowedKinds(kinds: readonly string[]): string[] {
  return kinds.flatMap((one) => ALLOW.exec(one)?.[1] ?? []);
}

/** The kinds' actions with these left as they are; other actions stay, but for kinds that are now left. */
export function withAllowed(kinds: readonly string[], allowed: readonly string[]): string[] {
  const others = kinds.filter((one) => !ALLOW.test(one) && !allowed.includes((one.split("=")[0] ?? "").trim()));
  return [...others, ...allowed.map((kind) => `${kind}=allow`)];
}

export interface Rule {
  pattern: string;
  steps: string[];
}

/** The rules in their order: the first that fits counts. */
export function rulesOf(form: PolicyForm): Rule[] {
  return Object.entries(form.intents).map(([pattern, steps]) => ({ pattern, steps }));
}

/** The form with these rules. Of two with one name the last counts, as in the file. */
export function withRules(form: PolicyForm, rules: readonly Rule[]): PolicyForm {
  return { ...form, intents: Object.fromEntries(rules.map((rule) => [rule.pattern, rule.steps])) };
}

/** A list with an item at another place. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const left = [...items];
  const [item] = left.splice(from, 1);
  if (item === undefined || to < 0 || to >= items.length) return [...items];
  left.splice(to, 0, item);
  return left;
}

export interface StepParts {
  verb: string;
  what: string;
}

/** A step in its two parts: `act order_status` is the verb act and the tool order_status. */
export function partsOf(step: string): StepParts {
  const space = step.indexOf(" ");
  return space < 0 ? { verb: step, what: "" } : { verb: step.slice(0, space), what: step.slice(space + 1) };
}

/** Every step that can be chosen, for these tools and texts. */
export function stepsToChoose(tools: readonly string[], texts: readonly string[]): string[] {
  return ["answer", "recommend", "act", ...tools.map((tool) => `act ${tool}`), "person", ...texts.map((text) => `say ${text}`)];
}

/** The texts that a step may say: the policy's own, and those of the desk that are whole sentences without gaps. */
export function sayable(own: Readonly<Record<string, unknown>>, desks: Readonly<Record<string, Readonly<Record<string, string>>>>): string[] {
  const whole = Object.entries(desks).filter(([, words]) => Object.values(words).every((text) => !text.includes("{") && text.trim().includes(" ")));
  return [...new Set([...Object.keys(own), ...whole.map(([name]) => name)])];
}

export interface Span {
  from: string;
  to: string;
}

/** The hours of a day, as the file writes them. */
export function spansOf(hours: string): Span[] {
  return hours
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => ({ from: part.slice(0, part.indexOf("-")), to: part.slice(part.indexOf("-") + 1) }));
}

/** Hours as the file writes them. */
export function hoursOf(spans: readonly Span[]): string {
  return spans.map((span) => `${span.from}-${span.to}`).join(", ");
}

/** The mistakes at a field and below it, joined. A pattern may hold dots, so places are compared from their beginning. */
export function textsAt(list: readonly { place: string; text: string }[], ...places: string[]): string {
  const found = list.filter((one) => places.some((place) => one.place === place || one.place.startsWith(`${place}.`)));
  return [...new Set(found.map((one) => one.text))].join("; ");
}
