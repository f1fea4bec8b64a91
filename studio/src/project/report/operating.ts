import type { CurvePoint } from "../../charts/RiskCurve";

/** What answers cost, in US dollars: a wrong one, and one that is passed on. */
export interface Costs {
  wrong: number;
  escalated: number;
}

/** What a thousand requests cost at a point of the risk-coverage curve. */
export function costPerThousand(point: Pick<CurvePoint, "coverage" | "risk">, costs: Costs): number {
  return 1000 * (point.coverage * point.risk * costs.wrong + (1 - point.coverage) * costs.escalated);
}

/** The place of the cheapest point; of equally cheap ones, the one that answers most. Null without points. */
export function cheapestPlace(points: readonly CurvePoint[], costs: Costs): number | null {
  let best: number | null = null;
  points.forEach((point, place) => {
    const held = best === null ? undefined : points[best];
    const difference = held ? costPerThousand(point, costs) - costPerThousand(held, costs) : -1;
    if (difference < -1e-9 || (Math.abs(difference) <= 1e-9 && held && point.coverage > held.coverage)) best = place;
  });
  return best;
}

/** Whether it costs less to pass everything on than to use the cheapest point. */
export function passingOnIsCheaper(points: readonly CurvePoint[], costs: Costs): boolean {
  const place = cheapestPlace(points, costs);
  const point = place === null ? undefined : points[place];
  return !point || 1000 * costs.escalated < costPerThousand(point, costs) - 1e-9;
}

/** The place of the point whose threshold is nearest. */
export function placeOf(points: readonly CurvePoint[], threshold: number): number {
  let nearest = 0;
  points.forEach((point, place) => {
    const held = points[nearest];
    if (held && Math.abs(point.threshold - threshold) < Math.abs(held.threshold - threshold)) nearest = place;
  });
  return nearest;
}

/** A cost that was typed in; null where it is no amount. */
export function amount(text: string): number | null {
  const value = Number(text.replace(",", "."));
  return text.trim() !== "" && Number.isFinite(value) && value >= 0 && value <= 1e9 ? value : null;
}
