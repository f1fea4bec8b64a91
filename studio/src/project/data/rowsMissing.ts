import type { FirstAnswer } from "./queries";

const STRICTEST = 0.03;
const LAXEST = 0.1;
/** An estimate of so many times the rows that were measured says nothing. */
const MOST_GROWTH = 20;

/** How many more rows, in round figures, would let a stricter limit on wrong answers than `risk` be promised; the one that takes fewest. */
export function rowsMissing(answer: FirstAnswer, risk: number): { rows: number; promise: number } | null {
  const missing = answer.points.flatMap((point) => {
    const rows = (point.needed ?? 0) - answer.measured;
    return point.threshold === null && point.risk < risk && point.risk >= STRICTEST - 1e-9 && point.risk <= LAXEST + 1e-9 && rows > 0 && rows <= MOST_GROWTH * answer.measured ? [{ rows: rounded(rows), promise: point.risk }] : [];
  });
  return missing.sort((one, other) => one.rows - other.rows || one.promise - other.promise)[0] ?? null;
}

/** Up to one digit and zeros: an estimate that promises no more than it knows. */
function rounded(rows: number): number {
  const unit = 10 ** Math.max(1, Math.floor(Math.log10(rows)));
  return Math.ceil(rows / unit) * unit;
}
