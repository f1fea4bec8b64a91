/** Test messages of conversations below which a report has no figure, as on the server: a few say nothing of the others. */
const LEAST_MESSAGES = 30;

/** How many test messages are lacking for a figure; 0 with enough, and for other rows. */
export function lacking(headline: string, n: number): number {
  return headline === "outcome_right" ? Math.max(0, LEAST_MESSAGES - n) : 0;
}
