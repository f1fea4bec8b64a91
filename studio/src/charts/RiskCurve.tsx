import { type PointerEvent, type ReactNode, useId } from "react";
import { useTranslation } from "react-i18next";

import { formatMoney, formatShare } from "../i18n";
import styles from "./Chart.module.css";
import { linear, ticks } from "./scale";
import { useWidth } from "./useWidth";

export interface CurvePoint {
  threshold: number;
  coverage: number;
  risk: number;
  risk_low: number;
  risk_high: number;
}

interface RiskCurveProps {
  points: readonly CurvePoint[];
  chosen: number;
  cheapest: number | null;
  /** What a thousand requests cost at each point; drawn below the curve where it is given. */
  costs: readonly number[] | null;
  yLabel: string;
  summary: string;
  onChoose: (place: number) => void;
}

const HEIGHT = 230;
const STRIP = 96;
const LEFT = 52;
const RIGHT = 12;
const TOP = 26;

function path(points: readonly (readonly [number, number])[]): string {
  return points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** The highest value worth drawing: intervals of a handful of rows reach far above the curve, and are cut off. */
function top(points: readonly CurvePoint[]): number {
  const many = points.filter((point) => point.coverage >= 0.15);
  return Math.min(1, Math.max(0.02, ...(many.length ? many : points).map((point) => point.risk_high)) * 1.08);
}

/** Share of wrong answers by the share that is answered, with its interval; and below it the cost. A click chooses the nearest point. */
export function RiskCurve({ points, chosen, cheapest, costs, yLabel, summary, onChoose }: RiskCurveProps): ReactNode {
  const { t } = useTranslation();
  const clip = useId();
  const [place, width] = useWidth<HTMLDivElement>();
  const strip = costs ? STRIP : 0;
  const x = linear(0, 1, LEFT, width - RIGHT);
  const highest = top(points);
  const y = linear(0, highest, HEIGHT - 12, TOP);
  const most = costs ? Math.max(...costs, 1e-9) : 1;
  const money = linear(0, most, HEIGHT + strip - 4, HEIGHT + 26);
  const now = points[chosen];
  const band = path([...points.map((point) => [x(point.coverage), y(point.risk_high)] as const), ...[...points].reverse().map((point) => [x(point.coverage), y(point.risk_low)] as const)]);

  function choose(event: PointerEvent<SVGSVGElement>): void {
    if (event.type === "pointermove" && event.buttons !== 1) return;
    const at = event.clientX - event.currentTarget.getBoundingClientRect().left;
    let nearest = 0;
    points.forEach((point, number) => {
      const best = points[nearest];
      if (best && Math.abs(x(point.coverage) - at) < Math.abs(x(best.coverage) - at)) nearest = number;
    });
    onChoose(nearest);
  }

  return (
    <div ref={place}>
      <svg className={styles.chart} width={width} height={HEIGHT + strip + 34} role="img" aria-label={summary} onPointerDown={choose} onPointerMove={choose} style={{ touchAction: "pan-y", cursor: "ew-resize" }}>
        <clipPath id={clip}>
          <rect x={LEFT} y={TOP} width={Math.max(0, width - LEFT - RIGHT)} height={HEIGHT - 12 - TOP} />
        </clipPath>
        {ticks(0, highest, 5).map((value) => (
          <g key={value}>
            <line className={styles.grid} x1={LEFT} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
            <text x={LEFT - 8} y={y(value) + 4} textAnchor="end">
              {formatShare(value, highest < 0.05 ? 1 : 0)}
            </text>
          </g>
        ))}
        <g clipPath={`url(#${clip})`}>
          <path className={styles.band} d={`${band}Z`} />
          <path className={styles.line} d={path(points.map((point) => [x(point.coverage), y(point.risk)]))} />
        </g>
        {costs && (
          <>
            <text x={LEFT} y={HEIGHT + 14} className={styles.strong}>
              {t("report.costAxis")}
            </text>
            <line className={styles.grid} x1={LEFT} x2={width - RIGHT} y1={HEIGHT + strip - 4} y2={HEIGHT + strip - 4} />
            <text x={LEFT - 8} y={HEIGHT + 30} textAnchor="end">
              {formatMoney(most, most < 10 ? 2 : 0)}
            </text>
            <path className={styles.thin} d={path(points.map((point, number) => [x(point.coverage), money(costs[number] ?? 0)]))} />
            {cheapest !== null && points[cheapest] && <circle className={styles.cheapest} cx={x(points[cheapest].coverage)} cy={money(costs[cheapest] ?? 0)} r={6} />}
          </>
        )}
        {now && (
          <>
            <line className={styles.chosen} x1={x(now.coverage)} x2={x(now.coverage)} y1={TOP} y2={HEIGHT + strip - 4} />
            <circle className={styles.dot} cx={x(now.coverage)} cy={Math.max(TOP, y(now.risk))} r={6} />
          </>
        )}
        {[0, 0.25, 0.5, 0.75, 1].map((value) => (
          <text key={value} x={x(value)} y={HEIGHT + strip + 12} textAnchor={value === 1 ? "end" : "middle"}>
            {formatShare(value)}
          </text>
        ))}
        <text x={width - RIGHT} y={HEIGHT + strip + 29} textAnchor="end">
          {t("report.answeredAxis")} →
        </text>
        <text x={LEFT} y={12} className={styles.strong}>
          {yLabel}
        </text>
      </svg>
    </div>
  );
}
