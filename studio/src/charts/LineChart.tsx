import "uplot/dist/uPlot.min.css";

import { type ReactNode, useEffect, useRef } from "react";
import uPlot from "uplot";

import { formatNumber } from "../i18n";
import styles from "./LineChart.module.css";
import { useTokens } from "./useTokens";

export interface Line {
  label: string;
  values: readonly (number | null)[];
}

/** Distances between the marks of the lower axis: months and steps are whole numbers. */
const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

const TOKENS = ["--soft", "--line", "--sans", "--hue-1", "--hue-2", "--hue-3", "--hue-4"] as const;

/** Lines over one axis of numbers. `format` writes a value for the axis and the legend. The chart is a picture: `summary` says the same in words. */
export function LineChart({ x, xLabel, lines, summary, format, height = 200 }: { x: readonly number[]; xLabel: string; lines: readonly Line[]; summary: string; format: (value: number) => string; height?: number }): ReactNode {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const tokens = useTokens(TOKENS);
  const names = lines.map((line) => line.label).join("\n");

  useEffect(() => {
    const frame = place.current;
    if (!frame) return;
    const ink = tokens["--soft"];
    const axis = { stroke: ink, grid: { stroke: tokens["--line"], width: 1 }, ticks: { show: false }, font: `11px ${tokens["--sans"]}` };
    const strokes = [tokens["--hue-1"], tokens["--hue-2"], tokens["--hue-3"], tokens["--hue-4"]];
    const made = new uPlot(
      {
        width: frame.clientWidth || 300,
        height,
        scales: { x: { time: false } },
        cursor: { points: { size: 6 } },
        legend: { show: names.includes("\n") }, // one line is named by its caption
        axes: [{ ...axis, incrs: WHOLE, values: (_, splits) => splits.map((value) => formatNumber(value)), size: 26, label: xLabel, labelSize: 18, labelGap: 0, labelFont: axis.font }, { ...axis, size: 56, space: 28, values: (_, splits) => splits.map(format) }],
        series: [{ label: xLabel, value: (_: uPlot, value: number | null) => (value === null ? "" : formatNumber(value)) }, ...names.split("\n").map((label, number) => ({ label, width: 2, spanGaps: true, points: { show: false }, stroke: strokes[number % strokes.length] ?? ink, value: (_: uPlot, value: number | null) => (value === null ? "" : format(value)) }))],
      },
      [[], ...names.split("\n").map(() => [])],
      frame,
    );
    chart.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: frame.clientWidth, height }));
    watcher.observe(frame);
    return () => {
      watcher.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [names, xLabel, format, height, tokens]);

  useEffect(() => {
    chart.current?.setData([[...x], ...lines.map((line) => [...line.values])]);
  });

  return <div ref={place} className={styles.chart} role="img" aria-label={summary} />;
}
