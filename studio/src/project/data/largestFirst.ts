import type { BarEntry } from "../../charts/Bars";

/** The numbers of an object, the largest first: its own order puts names that are whole numbers before all others. */
export function largestFirst(value: unknown): BarEntry[] {
  const found = Object.entries((value ?? {}) as Record<string, number>).map(([name, number]) => ({ name, value: number }));
  return found.sort((one, other) => other.value - one.value);
}
