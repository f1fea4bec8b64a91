import type { CSSProperties, ReactNode, RefObject } from "react";

import { cx } from "../cx";
import styles from "./Answer.module.css";
import type { Mark } from "./answers";
import { segments } from "./segments";

const HUES = 7;

/** The colour of a kind or field, by its place among all of them. */
export function hue(place: number): CSSProperties {
  return { "--hue": `var(--hue-${(Math.max(0, place) % HUES) + 1})` } as CSSProperties;
}

interface Props {
  text: string;
  marks: readonly Mark[];
  /** All kinds or fields, in the order that gives their colours. */
  names: readonly string[];
  refer?: RefObject<HTMLParagraphElement | null>;
  onSelected?: () => void;
  box?: boolean;
}

/** A text with its places marked, each with the name of its kind or field. The names are no part of the text that one selects. */
export function MarkedText({ text, marks, names, refer, onSelected, box = false }: Props): ReactNode {
  return (
    // Selecting words is a further way to what the fields beside the text do.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <p ref={refer} className={cx(styles.marked, box && styles.box)} onMouseUp={onSelected} onTouchEnd={onSelected}>
      {segments(text, marks).map((piece, place) =>
        piece.place ? (
          <mark key={place} className={styles.mark} style={hue(names.indexOf(piece.place.label))} data-name={piece.place.label}>
            {piece.text}
          </mark>
        ) : (
          <span key={place}>{piece.text}</span>
        ),
      )}
    </p>
  );
}

/** The selected characters within an element, as Python counts them; null where nothing, or something else, is selected. */
export function selectedIn(element: HTMLElement | null): { start: number; end: number; text: string } | null {
  const selection = window.getSelection();
  if (!element || !selection || selection.rangeCount === 0 || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  if (!element.contains(range.startContainer) || !element.contains(range.endContainer)) return null;
  const before = document.createRange();
  before.selectNodeContents(element);
  before.setEnd(range.startContainer, range.startOffset);
  const words = range.toString();
  const text = words.trim();
  if (text === "") return null;
  const start = Array.from(before.toString()).length + Array.from(words.slice(0, words.length - words.trimStart().length)).length;
  return { start, end: start + Array.from(text).length, text };
}
