import type { ReactNode } from "react";

import { cx } from "./cx";
import styles from "./Feedback.module.css";
import { highlight } from "./highlight";

/** A text with these phrases marked. */
export function Highlighted({ text, phrases, tone }: { text: string; phrases: readonly string[]; tone: "warn" | "bad" }): ReactNode {
  return highlight(text, phrases).map((piece, place) =>
    piece.marked ? (
      <mark key={place} className={cx(styles.marked, styles[tone])}>
        {piece.text}
      </mark>
    ) : (
      <span key={place}>{piece.text}</span>
    ),
  );
}
