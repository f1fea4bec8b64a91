import i18next from "i18next";

import { ungrouped } from "./numbers";

/** A setting as a form draws it, read from a part's JSON Schema. */
export interface SchemaField {
  name: string;
  kind: "choice" | "several" | "switch" | "number" | "text" | "list" | "json";
  help: string;
  /** Its value when nothing is given, as text; empty where there is none. */
  standard: string;
  choices: readonly string[];
  /** Whole numbers only. */
  whole: boolean;
  /** A list of numbers. */
  numbers: boolean;
  /** A text of many lines. */
  long: boolean;
  /** Must be given. */
  needed: boolean;
  /** Has a flag on the command line: people ask for it. */
  asked: boolean;
}

interface Node {
  type?: string | readonly string[];
  enum?: readonly unknown[];
  const?: unknown;
  anyOf?: readonly Node[];
  $ref?: string;
  items?: Node;
  maxLength?: number;
  readOnly?: boolean;
  flag?: string;
  default?: unknown;
  description?: string;
}

/** The JSON Schema of a part's settings, as the API tells it. */
export interface ObjectSchema {
  properties?: Record<string, Node>;
  $defs?: Record<string, Node>;
  required?: readonly string[];
}

const LONG = 1_000;

/** The settings of a schema that a form may change, in its order. */
export function fieldsOf(schema: ObjectSchema): SchemaField[] {
  return Object.entries(schema.properties ?? {}).filter(([, node]) => !node.readOnly).map(([name, node]) => {
    const arms = (node.anyOf ?? [node]).map((arm) => resolved(arm, schema)).filter((arm) => arm.type !== "null");
    const arm: Node = arms.length === 1 ? { ...arms[0] } : {};
    const several = arm.type === "array" ? arm.items?.enum : undefined;
    const choices = (several ?? node.enum ?? arm.enum ?? (arm.const === undefined ? [] : [arm.const])).filter((choice) => choice !== null).map(String);
    return { name, kind: several ? "several" : choices.length ? "choice" : kindOf(arm), help: node.description ?? "", standard: written(node.default), choices, whole: arm.type === "integer", numbers: isNumeric(arm.items), long: (arm.maxLength ?? 0) >= LONG, needed: schema.required?.includes(name) ?? false, asked: node.flag !== undefined };
  });
}

function resolved(node: Node, schema: ObjectSchema): Node {
  const name = node.$ref?.split("/").at(-1);
  const found = name === undefined ? node : (schema.$defs?.[name] ?? {});
  return Array.isArray(found.type) ? { ...found, type: String(found.type.find((type) => type !== "null")) } : found;
}

function kindOf(node: Node): SchemaField["kind"] {
  switch (node.type) {
    case "boolean":
      return "switch";
    case "integer":
    case "number":
      return "number";
    case "string":
      return "text";
    case "array":
      return node.items?.type === undefined || ["string", "number", "integer"].includes(String(node.items.type)) ? "list" : "json";
    default:
      return "json";
  }
}

function isNumeric(node: Node | undefined): boolean {
  return node?.type === "number" || node?.type === "integer";
}

/** A value as it stands in its field. */
export function written(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map(String).join("\n");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What was typed in, as the setting's value. Undefined: nothing is given. What does not fit stays as it is: the server says what is wrong with it. */
export function readValue(field: SchemaField, text: string): unknown {
  if (text.trim() === "") return undefined;
  switch (field.kind) {
    case "number": {
      const value = Number((i18next.language === "de" ? text : ungrouped(text.trim(), "en")).replace(",", ".")); // these fields show a point
      return Number.isFinite(value) ? value : text;
    }
    case "switch":
      return text === "true";
    case "list":
    case "several":
      return text
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean)
        .map((line) => (field.numbers && Number.isFinite(Number(line)) ? Number(line) : line));
    case "json":
      try {
        return JSON.parse(text);
      } catch {
        return text;
      }
    default:
      return text;
  }
}

/** A setting's name as a label: `max_size_mb` as "Max size MB". */
export function labelOf(name: string): string {
  const words = name.replaceAll("_", " ").replace(/\bmb\b/, "MB").replace(/\bms\b/, "(ms)").replace(/\bqat\b/, "QAT");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
