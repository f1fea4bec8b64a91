import type { AnswerForm } from "../../ui/answer/answers";
import { answerText, parsedAnswer } from "../run/answers";
import type { Captured } from "./queries";

/** Who suggests an answer: a person who corrected it, the large model, the project's own model, or its data. */
export type Suggester = "person" | "large" | "model" | "data";

export interface Suggestion {
  answer: string;
  by: Suggester;
}

/** The answers to choose from, each once: first what somebody said about this very text, then the project's answers. */
export function suggestionsFor(request: Captured, answers: readonly string[]): readonly Suggestion[] {
  const said: readonly (readonly [Suggester, string | null])[] = [
    ["person", request.corrected === null ? null : answerText(request.corrected)],
    ["large", request.audit_answer ?? (request.answered_by === "upstream" ? request.answer : null)],
    ["model", request.local_output === null ? null : answerText(request.local_output)],
    ...answers.map((answer) => ["data", answer] as const),
  ];
  const found: Suggestion[] = [];
  for (const [by, answer] of said) {
    const plain = answer?.trim() ?? "";
    if (plain !== "" && !found.some((one) => one.answer === plain)) found.push({ answer: plain, by });
  }
  return found;
}

/** A suggestion as the form of an answer begins with it. A text stays one even where it looks like JSON; fields, marks and labels have to be it. */
export function startOf(shape: AnswerForm["shape"], answer: string): unknown {
  if (shape === "text") return answer;
  const read = parsedAnswer(answer);
  return typeof read === "object" ? read : null;
}
