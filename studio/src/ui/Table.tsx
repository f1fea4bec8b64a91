import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef } from "react";

import { cx } from "./cx";
import styles from "./Table.module.css";

export interface Column<R> {
  key: string;
  title: ReactNode;
  /** A width as CSS grids take it, such as `minmax(12rem, 3fr)`. */
  width: string;
  number?: boolean;
  cell: (row: R, index: number) => ReactNode;
}

interface TableProps<R> {
  label: string;
  columns: readonly Column<R>[];
  /** All rows that there are, loaded or not. */
  count: number;
  /** The row at a place; undefined while it is being fetched. */
  row: (index: number) => R | undefined;
  /** Called with the rows that are on the screen, for the rest to be fetched. */
  onVisible?: (first: number, last: number) => void;
  selected?: number | undefined;
  onSelect?: (index: number) => void;
  rowHeight?: number;
}

/** Rows are fetched ten times a second at most: a dragged scroll bar passes thousands of them. */
const TELL_MS = 100;

/** A table of any number of rows, of which only those on the screen are drawn. Arrow keys, Home and End move the selection. */
export function Table<R>({ label, columns, count, row, onVisible, selected, onSelect, rowHeight = 40 }: TableProps<R>): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const id = useId();
  // The library's own hook keeps state that React's compiler cannot see; nothing here is memoised by it.
  // eslint-disable-next-line react-hooks/incompatible-library
  const virtual = useVirtualizer({ count, getScrollElement: () => frame.current, estimateSize: () => rowHeight, overscan: 12 });
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  const told = useRef(-TELL_MS);
  useEffect(() => {
    const timer = setTimeout(() => {
      told.current = performance.now();
      onVisible?.(first, last);
    }, Math.max(0, told.current + TELL_MS - performance.now()));
    return () => clearTimeout(timer);
  }, [first, last, onVisible]);
  useEffect(() => {
    if (selected !== undefined) virtual.scrollToIndex(selected, { align: "auto" });
  }, [selected, virtual]);

  const template = { gridTemplateColumns: columns.map((column) => column.width).join(" ") };

  function move(event: KeyboardEvent): void {
    if (!onSelect || count === 0) return;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -count, End: count };
    const step = steps[event.key];
    if (step === undefined || event.target !== frame.current) return;
    event.preventDefault();
    onSelect(Math.min(count - 1, Math.max(0, (selected ?? -1) + step)));
  }

  return (
    <div ref={frame} className={styles.frame} tabIndex={0} onKeyDown={move} role="grid" aria-label={label} aria-rowcount={count + 1} aria-activedescendant={selected === undefined ? undefined : `${id}${selected}`}>
      <div className={styles.table}>
        <div className={styles.head} style={template} role="row" aria-rowindex={1}>
          {columns.map((column) => (
            <div key={column.key} role="columnheader" className={cx(column.number && styles.number)}>
              {column.title}
            </div>
          ))}
        </div>
        <div className={styles.body} style={{ height: virtual.getTotalSize() }} role="rowgroup">
          {items.map((item) => {
            const value = row(item.index);
            return (
              // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus
              <div
                key={item.key}
                id={`${id}${item.index}`}
                role="row"
                aria-rowindex={item.index + 2}
                aria-selected={item.index === selected}
                className={styles.row}
                style={{ ...template, height: rowHeight, transform: `translateY(${item.start}px)` }}
                onClick={() => onSelect?.(item.index)}
              >
                {columns.map((column) => (
                  <div key={column.key} role="gridcell" className={cx(styles.cell, column.number && styles.number)}>
                    {value === undefined ? <span className={styles.waiting}>…</span> : column.cell(value, item.index)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
