import type { components } from "../../api/schema";

export type QueuedRow = components["schemas"]["QueuedRow"];
export type AnswerEntry = components["schemas"]["AnswerEntry"];

/** What somebody has done since the page was opened. `pending` is not saved yet; its first `sending` entries are on their way. */
export interface Session {
  rows: readonly QueuedRow[];
  current: QueuedRow | null;
  past: readonly { row: QueuedRow; answered: boolean }[];
  skipped: ReadonlySet<number>;
  answered: ReadonlySet<number>;
  pending: readonly AnswerEntry[];
  sending: number;
}

export type Move =
  | { kind: "rows"; rows: readonly QueuedRow[] }
  | { kind: "answer"; output: unknown }
  | { kind: "skip" }
  | { kind: "undo" }
  | { kind: "again" }
  | { kind: "sending" }
  | { kind: "sent" }
  | { kind: "unsent" };

/** A session that begins with answers which are not saved yet. A row whose answer was taken back last is to be answered again. */
export function newSession(pending: readonly AnswerEntry[]): Session {
  const last = new Map(pending.map((entry) => [entry.key, entry]));
  const answered = new Set([...last.values()].filter((entry) => !entry.undo).map((entry) => entry.key));
  return { rows: [], current: null, past: [], skipped: new Set(), answered, pending, sending: 0 };
}

/** The session after one move. The row before one's eyes changes only by what one does, never by what comes from the server. */
export function moved(session: Session, move: Move): Session {
  const { current } = session;
  switch (move.kind) {
    case "rows": {
      const next = { ...session, rows: move.rows };
      return current ? next : goOn(next);
    }
    case "answer": {
      if (!current) return session;
      const entry = { key: current.row.key, output: move.output, undo: false };
      return goOn({
        ...session,
        past: [...session.past, { row: current, answered: true }],
        answered: new Set([...session.answered, current.row.key]),
        pending: [...session.pending, entry],
      });
    }
    case "skip":
      if (!current) return session;
      return goOn({ ...session, past: [...session.past, { row: current, answered: false }], skipped: new Set([...session.skipped, current.row.key]) });
    case "undo":
      return undone(session);
    case "again":
      return goOn({ ...session, skipped: new Set() });
    case "sending":
      return { ...session, sending: session.pending.length };
    case "sent":
      return { ...session, pending: session.pending.slice(session.sending), sending: 0 };
    case "unsent":
      return { ...session, sending: 0 };
  }
}

function goOn(session: Session): Session {
  const next = session.rows.find(({ row }) => !session.answered.has(row.key) && !session.skipped.has(row.key));
  return { ...session, current: next ?? null };
}

function undone(session: Session): Session {
  const last = session.past.at(-1);
  if (!last) return session;
  const { key, output } = last.row.row;
  const back = { ...session, past: session.past.slice(0, -1), current: last.row };
  if (!last.answered) return { ...back, skipped: without(session.skipped, key) };
  const place = session.pending.findLastIndex((entry) => entry.key === key);
  // An answer that is on its way, or saved, is taken back by another one.
  const pending = place >= session.sending ? session.pending.filter((_, at) => at !== place) : [...session.pending, { key, output: output ?? null, undo: true }];
  return { ...back, answered: without(session.answered, key), pending };
}

function without(keys: ReadonlySet<number>, key: number): ReadonlySet<number> {
  return new Set([...keys].filter((one) => one !== key));
}

const PLACE = "smidgen.answers.";

/** Answers that were given and not saved when the page was closed. */
export function storedAnswers(project: string): readonly AnswerEntry[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PLACE + project) ?? "[]");
    return Array.isArray(found) ? found.filter(isEntry) : [];
  } catch {
    return [];
  }
}

/** Keep the answers that are not saved yet, so that closing the page loses none. */
export function storeAnswers(project: string, pending: readonly AnswerEntry[]): void {
  if (pending.length) localStorage.setItem(PLACE + project, JSON.stringify(pending));
  else localStorage.removeItem(PLACE + project);
}

function isEntry(value: unknown): value is AnswerEntry {
  return typeof value === "object" && value !== null && "key" in value && Number.isInteger(value.key) && "output" in value;
}
