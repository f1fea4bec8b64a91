import { type MouseEvent, type ReactNode, useEffect, useMemo, useRef } from "react";

import styles from "./HeatMap.module.css";
import { useTokens } from "./useTokens";

export interface HeatCell {
  down: number;
  across: number;
  count: number;
}

interface HeatMapProps {
  labels: readonly string[];
  cells: readonly HeatCell[];
  /** Called with the cell under a click, where it has rows. */
  onOpen: (cell: HeatCell) => void;
  /** What the tooltip says of a cell. */
  describe: (down: string, across: string, count: number) => string;
  summary: string;
  downTitle: string;
  acrossTitle: string;
}

const TOKENS = ["--accent", "--bad", "--line", "--raised"] as const;

/** A square's side in pixels: large where there are few labels, and never too small to hit. */
function sideOf(labels: number): number {
  return labels <= 12 ? 40 : labels <= 30 ? 24 : 15;
}

/** Counts by two lists of the same labels, drawn once on a canvas; hovering moves two strips and a tooltip, and draws nothing anew. */
export function HeatMap({ labels, cells, onOpen, describe, summary, downTitle, acrossTitle }: HeatMapProps): ReactNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const rowStrip = useRef<HTMLDivElement>(null);
  const columnStrip = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const colours = useTokens(TOKENS);
  const side = sideOf(labels.length);
  const size = side * labels.length;
  const byPlace = useMemo(() => new Map(cells.map((cell) => [cell.down * labels.length + cell.across, cell])), [cells, labels.length]);

  useEffect(() => {
    const pen = canvas.current?.getContext("2d");
    if (!pen || !canvas.current) return;
    const scale = Math.min(window.devicePixelRatio || 1, 4096 / Math.max(1, size));
    canvas.current.width = size * scale;
    canvas.current.height = size * scale;
    pen.scale(scale, scale);
    pen.fillStyle = colours["--raised"];
    pen.fillRect(0, 0, size, size);
    pen.fillStyle = colours["--line"];
    for (let place = 0; place <= labels.length; place += 1) {
      pen.fillRect(0, place * side, size, 0.5);
      pen.fillRect(place * side, 0, 0.5, size);
    }
    const totals = new Map<number, number>();
    for (const cell of cells) totals.set(cell.down, (totals.get(cell.down) ?? 0) + cell.count);
    for (const cell of cells) {
      pen.globalAlpha = 0.18 + 0.82 * Math.sqrt(cell.count / (totals.get(cell.down) ?? cell.count));
      pen.fillStyle = cell.down === cell.across ? colours["--accent"] : colours["--bad"];
      pen.fillRect(cell.across * side + 1, cell.down * side + 1, side - 1, side - 1);
    }
    pen.globalAlpha = 1;
  }, [cells, colours, labels.length, side, size]);

  function under(event: MouseEvent<HTMLElement>): { down: number; across: number } | null {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return null;
    const [across, down] = [Math.floor((event.clientX - box.left) / side), Math.floor((event.clientY - box.top) / side)];
    return across >= 0 && down >= 0 && across < labels.length && down < labels.length ? { down, across } : null;
  }

  function hover(event: MouseEvent<HTMLElement>): void {
    const at = under(event);
    const [row, column, words, around] = [rowStrip.current, columnStrip.current, tip.current, frame.current];
    if (!row || !column || !words || !around) return;
    const shown = at ? "block" : "none";
    row.style.display = column.style.display = words.style.display = shown;
    if (!at) return;
    row.style.transform = `translateY(${at.down * side}px)`;
    column.style.transform = `translateX(${at.across * side}px)`;
    const cell = byPlace.get(at.down * labels.length + at.across);
    words.textContent = describe(labels[at.down] ?? "", labels[at.across] ?? "", cell?.count ?? 0);
    const box = around.getBoundingClientRect();
    const [left, top] = [event.clientX - box.left, event.clientY - box.top];
    words.style.transform = `translate(${Math.min(left + 14, box.width - 290)}px, ${top > box.height - 90 ? top - 70 : top + 18}px)`;
    around.style.setProperty("--cursor", cell ? "pointer" : "default");
  }

  function hide(): void {
    for (const element of [rowStrip.current, columnStrip.current, tip.current]) if (element) element.style.display = "none";
  }

  function open(event: MouseEvent<HTMLElement>): void {
    const at = under(event);
    const cell = at && byPlace.get(at.down * labels.length + at.across);
    if (cell) onOpen(cell);
  }

  const square = { "--side": `${side}px`, "--count": labels.length } as React.CSSProperties;
  return (
    <div ref={frame} className={styles.frame} style={square}>
      {/* Scrolled by arrow keys; every cell with mistakes is also a button in the list beside the map. */}
      <div className={styles.scroll} tabIndex={0} role="region" aria-label={summary} onScroll={hide}>
        <div className={styles.map}>
          <div className={styles.corner}>
            <span>{acrossTitle} →</span>
            <span>{downTitle} ↓</span>
          </div>
          <div className={styles.columns} aria-hidden="true">
            {labels.map((label) => (
              <span key={label}>{label}</span>
            ))}
          </div>
          <div className={styles.rows} aria-hidden="true">
            {labels.map((label) => (
              <span key={label}>{label}</span>
            ))}
          </div>
          {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions */}
          <div className={styles.cells} onMouseMove={hover} onMouseLeave={hide} onClick={open}>
            <canvas ref={canvas} style={{ width: size, height: size }} />
            <div ref={rowStrip} className={styles.rowStrip} />
            <div ref={columnStrip} className={styles.columnStrip} />
          </div>
        </div>
      </div>
      <div ref={tip} className={styles.tip} aria-hidden="true" />
    </div>
  );
}
