/** The tone of an outcome: good where the customer was served, a warning where not. */
export function toneOf(outcome: string): "good" | "warn" | "bad" | "plain" {
  if (outcome === "answered" || outcome === "done") return "good";
  if (outcome === "failed") return "bad";
  return outcome === "unanswered" || outcome === "handed_over" ? "warn" : "plain";
}
