import type { TFunction } from "i18next";

import { formatNumber } from "../../i18n";
import type { IconName } from "../../ui/icons";
import { optionName, settingHelp, settingTitle } from "../../ui/settings";
import type { Kind, Mistake, Step } from "./queries";

const ICONS: Record<string, IconName> = {
  data: "data",
  check: "check",
  split: "branch",
  redact: "hide",
  teacher: "people",
  task: "label",
  base: "doc",
  student: "build",
  compress: "down",
  gate: "shield",
  certificate: "report",
  serve: "code",
  page: "chat",
  desk: "people",
  unsure: "scale",
  tried: "box",
  capture: "download",
  cache: "clock",
  privacy: "hide",
  budget: "cost",
  route: "right",
};

/** The icon of a kind of step. */
export function stepIcon(kind: string): IconName {
  return ICONS[kind] ?? "bolt";
}

/** What a step is called on the screen. A kind that came with an added part has the name of its section. */
export function stepTitle(t: TFunction, node: { kind: string; id?: string }): string {
  if (node.kind === "unknown") return node.id?.replace(/^unknown:/, "") ?? node.kind;
  return t(`canvas.kind.${node.kind}.title`, { defaultValue: sentence(node.kind) });
}

/** What a step does. */
export function stepAbout(t: TFunction, node: Step, kind: Kind | undefined): string {
  if (node.kind === "unknown") return t("canvas.unknownAbout");
  const said = Object.values(kind?.schemas ?? {}).map((schema) => schema["description"]).find((one) => typeof one === "string");
  return t(`canvas.kind.${node.kind}.about`, { defaultValue: settingHelp(said) });
}

/** What a port carries. */
export function portTitle(t: TFunction, type: string): string {
  return t(`canvas.port.${type}`, { defaultValue: sentence(type) });
}

export function sentence(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A given value in a few letters. */
export function shortly(value: unknown): string {
  const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  const text = typeof one === "string" ? one : typeof one === "number" ? formatNumber(one, { maximumSignificantDigits: 12, useGrouping: false }) : JSON.stringify(one);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

/** A given setting in a few words: "Base model: minilm". */
export function givenWords(t: TFunction, { section, name, value }: { section: string; name: string; value: unknown }): string {
  const named = (one: unknown) => (typeof one === "string" && section !== "" && section !== "data" ? optionName(t, name, one) : one);
  const said = Array.isArray(value) && value.length > 1 ? value.map((one) => String(named(one))).join(", ") : Array.isArray(value) ? value : named(value);
  return `${settingTitle(t, section, name)}: ${shortly(said)}`;
}

/** The settings that a step was given: section, name and value. */
export function givenSettings(node: Step): { section: string; name: string; value: unknown }[] {
  return Object.entries(node.settings).flatMap(([section, held]) => Object.entries(held).map(([name, value]) => ({ section, name, value })));
}

/** The mistakes that stand at a step. */
export function mistakesAt(mistakes: readonly Mistake[], id: string): Mistake[] {
  return mistakes.filter((mistake) => mistake.node === id);
}

const HUES: Record<string, number> = { examples: 1, redacted: 1, labels: 8, holdout: 2, task: 7, base: 3, model: 4, bundle: 5, requests: 6, address: 9 };

/** The colour of a type of port, as a CSS value. */
export function portColour(type: string): string {
  return `var(--hue-${HUES[type] ?? 1})`;
}
