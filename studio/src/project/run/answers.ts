/** An answer as a reader sees it: a label without its quotes, anything else as JSON; empty for none. */
export function answerText(stored: string | null): string {
  if (stored === null) return "";
  try {
    const value: unknown = JSON.parse(stored);
    return value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
  } catch {
    return stored;
  }
}

/** An answer as it was stored, read: the value of JSON, else the text itself. */
export function parsedAnswer(stored: string | null): unknown {
  if (stored === null) return null;
  try {
    return JSON.parse(stored) as unknown;
  } catch {
    return stored;
  }
}
