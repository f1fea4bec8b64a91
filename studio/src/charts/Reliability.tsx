import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber, formatShare } from "../i18n";
import styles from "./Chart.module.css";
import { linear } from "./scale";
import { useWidth } from "./useWidth";

export interface ReliabilityBin {
  confidence: number;
  accuracy: number;
  low: number;
  high: number;
  n: number;
}

const LEFT = 44;
const BOTTOM = 40;

/** The share that was right among answers of like score, with its interval. On the dashed line a score means what it says. */
export function Reliability({ bins, summary, graded = false }: { bins: readonly ReliabilityBin[]; summary: string; graded?: boolean }): ReactNode {
  const { t } = useTranslation();
  const [place, width] = useWidth<HTMLDivElement>(360);
  const side = Math.min(width, 400);
  const x = linear(0, 1, LEFT, side - 12);
  const y = linear(0, 1, side - BOTTOM, 26);
  return (
    <div ref={place}>
      <svg className={styles.chart} width={side} height={side} role="img" aria-label={summary} style={{ width: side }}>
        {[0, 0.25, 0.5, 0.75, 1].map((value) => (
          <g key={value}>
            <line className={styles.grid} x1={LEFT} x2={side - 12} y1={y(value)} y2={y(value)} />
            <text x={LEFT - 8} y={y(value) + 4} textAnchor="end">
              {formatShare(value)}
            </text>
            <text x={x(value)} y={side - BOTTOM + 16} textAnchor={value === 1 ? "end" : "middle"}>
              {formatShare(value)}
            </text>
          </g>
        ))}
        <line className={styles.ideal} x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
        {bins.map((bin, number) => (
          <g key={number}>
            <title>{t(graded ? "report.binGraded" : "report.bin", { score: formatShare(bin.confidence), right: formatShare(bin.accuracy), n: formatNumber(bin.n) })}</title>
            <line className={styles.whisker} x1={x(bin.confidence)} x2={x(bin.confidence)} y1={y(bin.low)} y2={y(bin.high)} />
            <circle className={styles.dot} cx={x(bin.confidence)} cy={y(bin.accuracy)} r={5} />
          </g>
        ))}
        <text x={side - 12} y={side - 6} textAnchor="end">
          {t(graded ? "report.scoreAxisGraded" : "report.scoreAxis")} →
        </text>
        <text x={LEFT} y={12} className={styles.strong}>
          {t(graded ? "report.rightAxisGraded" : "report.rightAxis")}
        </text>
      </svg>
    </div>
  );
}
