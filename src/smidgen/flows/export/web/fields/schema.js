// Objects held to a JSON schema of fields: the same checks as smidgen's `tasks/field_values.py`.

import { iso } from "./dates.js";
import { stripped } from "./ways.js";

const ODD = /\0|[\ud800-\udfff]/u;
const FORMATS = {
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && iso(...text.split("-").map(Number)) === text,
  email: (text) => text.includes("@"),
  uuid: (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
};

export const kind = ({ type }) => (typeof type === "string" ? type : type[0]);
export const nullable = ({ type }) => typeof type !== "string";

/** Every field that holds values by its path. A list is one field. */
export function fields(schema, before = "") {
  return Object.entries(schema.properties).flatMap(([name, node]) =>
    node.properties ? fields(node, `${before}${name}.`) : [[before + name, node]],
  );
}

/** The object in the schema's order: blanks around texts gone, what is missing null where that is allowed. */
export function settled(given, node) {
  const made = {};
  for (const [name, field] of Object.entries(node.properties)) {
    const value = Object.hasOwn(given, name) ? given[name] : null;
    const blank = value === null || (typeof value === "string" && !stripped(value));
    if (blank && (nullable(field) || !node.required.includes(name))) {
      if (nullable(field)) made[name] = null;
    } else made[name] = value === null ? undefined : valued(value, field);
  }
  return made;
}

function valued(value, node) {
  if (kind(node) === "string") return stripped(value);
  if (kind(node) === "array") return value.map((one) => valued(one, node.items));
  return kind(node) === "object" ? settled(value, node) : value;
}

/** Why a value does not fit its part of the schema; empty where it does. */
export function fault(value, node, place = "") {
  const at = place || "the answer";
  if (value === undefined) return `${at} has no value`;
  if (value === null) return nullable(node) ? "" : `${at} has no value`;
  if (node.enum && !node.enum.some((one) => one === value)) return `${at} is none of its values`;
  if (kind(node) === "object") {
    for (const [name, field] of Object.entries(node.properties)) {
      const inner = place ? `${place}.${name}` : name;
      if (!Object.hasOwn(value, name)) {
        if (node.required.includes(name)) return `${inner} has no value`;
      } else {
        const found = fault(value[name], field, inner);
        if (found) return found;
      }
    }
    return "";
  }
  if (kind(node) === "array") {
    if (!Array.isArray(value)) return `${at} is no list`;
    if (value.length < (node.minItems ?? 0) || value.length > (node.maxItems ?? Infinity)) return `${at} has ${value.length} values`;
    return value.map((one, number) => fault(one, node.items, `${at}[${number}]`)).find(Boolean) ?? "";
  }
  if (kind(node) === "boolean") return typeof value === "boolean" ? "" : `${at} is neither true nor false`;
  if (kind(node) === "string") return text(value, node, at);
  return number(value, node, at);
}

function text(value, node, at) {
  if (typeof value !== "string" || ODD.test(value)) return `${at} is no text`;
  const length = [...value].length;
  if (length < (node.minLength ?? 0) || length > (node.maxLength ?? Infinity)) return `${at} has ${length} characters`;
  if (node.browserPattern && !new RegExp(node.browserPattern, "u").test(value)) return `${at} is of another form`;
  return node.format && !FORMATS[node.format](value) ? `${at} is no ${node.format}` : "";
}

function number(value, node, at) {
  if (typeof value !== "number" || !Number.isFinite(value) || (kind(node) === "integer" && !Number.isInteger(value))) return `${at} is no number`;
  const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = node;
  const fits = value >= minimum && value <= maximum && (value > exclusiveMinimum || exclusiveMinimum === -Infinity);
  return fits && (value < exclusiveMaximum || exclusiveMaximum === Infinity) ? "" : `${at} is out of its bounds`;
}
