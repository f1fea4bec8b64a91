/** Turns of a test conversation as a form holds them, and what came of them. */

export const OUTCOMES = ["answered", "asked", "proposed", "done", "cancelled", "failed", "handed_over", "unanswered"] as const;

export interface TurnDraft {
  say: string;
  outcome: string;
  contains: string[];
  notContains: string[];
  document: string;
  tool: string;
  /** What else is wanted, which stays as it is. */
  rest: Record<string, unknown>;
}

type Turn = { say: string; expect?: Record<string, unknown> | null | undefined };

function texts(value: unknown): string[] {
  if (typeof value === "string") return value ? [value] : [];
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}

/** A turn as a form. Without a wanted outcome it is only said. */
export function draftOf(turn: Turn): TurnDraft {
  const { outcome, contains, not_contains, document, tool, ...rest } = turn.expect ?? {};
  return {
    say: turn.say,
    outcome: typeof outcome === "string" ? outcome : "",
    contains: texts(contains),
    notContains: texts(not_contains),
    document: typeof document === "string" ? document : "",
    tool: typeof tool === "string" ? tool : "",
    rest,
  };
}

/** A form as a turn; what is empty is left out. */
export function turnOf(draft: TurnDraft): { say: string; expect: Record<string, unknown> | null } {
  if (!draft.outcome) return { say: draft.say.trim(), expect: null };
  const said = (all: readonly string[]) => all.map((one) => one.trim()).filter(Boolean);
  const [contains, without] = [said(draft.contains), said(draft.notContains)];
  return {
    say: draft.say.trim(),
    expect: {
      outcome: draft.outcome,
      ...(contains.length ? { contains } : {}),
      ...(without.length ? { not_contains: without } : {}),
      ...(draft.document.trim() ? { document: draft.document.trim() } : {}),
      ...(draft.tool.trim() ? { tool: draft.tool.trim() } : {}),
      ...draft.rest,
    },
  };
}

export function emptyTurn(): TurnDraft {
  return { say: "", outcome: "answered", contains: [], notContains: [], document: "", tool: "", rest: {} };
}

export type Verdict = "right" | "wrong" | "open";

/** Whether a conversation went as wanted: wrong as soon as one message did not, open while none was measured. */
export function verdictOf(results: readonly { right: boolean | null }[]): Verdict {
  if (results.some((one) => one.right === false)) return "wrong";
  return results.some((one) => one.right === true) ? "right" : "open";
}

/** How many messages of all conversations went as wanted, and how many were measured. */
export function countOf(conversations: readonly { results: readonly { right: boolean | null }[] }[]): { right: number; measured: number } {
  const all = conversations.flatMap((one) => one.results).filter((one) => one.right !== null);
  return { right: all.filter((one) => one.right).length, measured: all.length };
}
