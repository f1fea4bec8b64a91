import type { ReactNode } from "react";

import { type ArgumentDraft, marked, shownIn } from "./draft";
import styles from "./Tools.module.css";

/** A text with `{name}` gaps, each shown as the argument's title. */
export function Template({ text, named }: { text: string; named: readonly ArgumentDraft[] }): ReactNode {
  return text.split(/(\{[a-z][a-z0-9_]*\})/).map((piece, place) => {
    const name = /^\{(.+)\}$/.exec(piece)?.[1];
    return name ? (
      <span key={place} className={styles.gap}>
        {shownIn(named, name)}
      </span>
    ) : (
      piece
    );
  });
}

/** A message with the values of its arguments marked. */
export function Marked({ message, values }: { message: string; values: Record<string, string> }): ReactNode {
  return marked(message, values).map((piece, place) =>
    piece.argument ? (
      <span key={place} className={styles.gap} title={piece.argument}>
        {piece.text}
      </span>
    ) : (
      piece.text
    ),
  );
}
