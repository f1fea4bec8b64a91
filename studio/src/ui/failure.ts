import type { TFunction } from "i18next";

import { ApiError, type ErrorParts } from "../api/client";
import { messageOf } from "../i18n/messages";
import { translated } from "../i18n/serverTexts";

/** An error as a page shows it. `list`: what is to be corrected, one by one. `exact`: the server's English, where the language has no words. */
export interface ShownError {
  message: string;
  todo?: string | undefined;
  list?: readonly string[];
  exact?: string;
}

const ITEM = "\n  - ";
const KINDS = ["DataError", "RecipeError", "UnknownPart", "RedactionError", "MissingExtra", "BaseError", "BundleError", "EngineError", "TrainError", "TeacherError", "GateError", "CertificateError", "MachineError", "InputError", "StudioError", "StudioMissing"];

/** An error in the words of the chosen language. */
export function inWords(t: TFunction, error: ErrorParts): ShownError {
  const { what, value = "", kind = "" } = error;
  const [todo = "", ...items] = (error.todo ?? "").split(ITEM);
  const list = items.map((item) => translated(item) ?? item);
  const places = [error.row === undefined ? "" : t("failure.row", { row: error.row }), error.column === undefined ? "" : t("failure.column", { column: error.column })].filter(Boolean).join(", ");
  const placed = (said: string, value: string) => sentence(`${places ? `${places}: ` : ""}${said}${value === "" || said.endsWith(".") ? "" : `: ${value}`}`);
  const known = messageOf(error.message_code, error.values);
  if (known !== null) return { message: placed(known.what, known.value ?? translated(value) ?? value), todo: known.todo, list };
  if (what === undefined) {
    const message = translated(error.message ?? "");
    return message === null ? unknown(t, kind, error, list) : { message: sentence(message), todo: translated(todo) ?? todo, list };
  }
  const said = translated(what);
  if (said === null) return unknown(t, kind, error, list);
  const advice = translated(todo);
  return { message: placed(said, translated(value) ?? value), todo: advice ?? t("failure.todo"), list, ...(advice === null && todo !== "" ? { exact: todo } : {}) };
}

function unknown(t: TFunction, kind: string, error: ErrorParts, list: readonly string[]): ShownError {
  const todo = translated((error.todo ?? "").split(ITEM)[0] ?? "");
  const advised = todo !== null || error.message?.includes(error.todo ?? "");
  const exact = [error.message, advised ? "" : error.todo].filter(Boolean).join(" ");
  return { message: t(`failure.kind.${KINDS.includes(kind) ? kind : "other"}`), todo: todo ?? t("failure.todo"), list, exact };
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…:]$/.test(whole) ? whole : `${whole}.`;
}

/** What went wrong when the server was asked, in words. */
export function failureOf(t: TFunction, error: Error): ShownError {
  if (error instanceof ApiError && error.status > 0) return inWords(t, error.parts);
  return { message: t("common.offline"), todo: t("common.offlineTodo") };
}

/** Why a run failed, in words. */
export function runFailureOf(t: TFunction, error: Readonly<Record<string, unknown>> | null | undefined): ShownError {
  return inWords(t, error ?? {});
}
