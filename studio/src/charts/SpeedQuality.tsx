import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber } from "../i18n";
import { cx } from "../ui/cx";
import styles from "./Chart.module.css";
import { linear, logarithmic, logTicks, ticks } from "./scale";
import { useWidth } from "./useWidth";

export interface Bubble {
  name: string;
  /** Its name in words. */
  title: string;
  /** Milliseconds for one text. */
  latency: number;
  value: number;
  low: number;
  high: number;
  size: number | null;
  reference: boolean;
}

const HEIGHT = 300;
const LEFT = 56;

/** Quality against speed, the size of the files as the circle's area. A click picks one. */
export function SpeedQuality({ bubbles, picked, onPick, format, yLabel, summary }: { bubbles: readonly Bubble[]; picked: string; onPick: (name: string) => void; format: (value: number) => string; yLabel: string; summary: string }): ReactNode {
  const { t } = useTranslation();
  const [place, width] = useWidth<HTMLDivElement>();
  const latencies = bubbles.map((bubble) => bubble.latency);
  const [fastest, slowest] = [Math.min(...latencies) / 2, Math.max(...latencies) * 2];
  const lows = Math.min(...bubbles.map((bubble) => bubble.low));
  const highs = Math.max(...bubbles.map((bubble) => bubble.high));
  const margin = (highs - lows || 0.1) * 0.15;
  const [bottom, top] = [Math.max(0, lows - margin), Math.min(1, highs + margin)];
  const x = logarithmic(fastest, slowest, LEFT, width - 16);
  const y = linear(bottom, top, HEIGHT - 40, 24);
  const largest = Math.max(...bubbles.map((bubble) => bubble.size ?? 0), 1e-9);
  const radius = (size: number | null) => (size === null ? 6 : 6 + 20 * Math.sqrt(size / largest));
  return (
    <div ref={place}>
      <svg className={styles.chart} width={width} height={HEIGHT} role="img" aria-label={summary}>
        {ticks(bottom, top, 5).map((value) => (
          <g key={value}>
            <line className={styles.grid} x1={LEFT} x2={width - 16} y1={y(value)} y2={y(value)} />
            <text x={LEFT - 8} y={y(value) + 4} textAnchor="end">
              {format(value)}
            </text>
          </g>
        ))}
        {logTicks(fastest, slowest).map((value) => (
          <text key={value} x={x(value)} y={HEIGHT - 22} textAnchor="middle">
            {formatNumber(value, { maximumSignificantDigits: 2 })}
          </text>
        ))}
        {bubbles.map((bubble) => (
          // The table below the chart picks by keyboard.
           
          <g key={bubble.name} onClick={() => onPick(bubble.name)}>
            <title>{bubble.title}</title>
            <line className={styles.whisker} x1={x(bubble.latency)} x2={x(bubble.latency)} y1={y(bubble.low)} y2={y(bubble.high)} />
            <circle className={cx(styles.bubble, bubble.reference && styles.reference, bubble.name === picked && styles.picked)} cx={x(bubble.latency)} cy={y(bubble.value)} r={radius(bubble.size)} />
          </g>
        ))}
        <text x={width - 16} y={HEIGHT - 4} textAnchor="end">
          {t("report.latencyAxis")} →
        </text>
        <text x={LEFT} y={12} className={styles.strong}>
          {yLabel}
        </text>
      </svg>
    </div>
  );
}
