import { type ReactNode, useId } from "react";

import styles from "./Card.module.css";
import { cx } from "./cx";

/** A raised region of a page. With a title it is a landmark of that name; `actions` stand beside the title. */
export function Card({ title, note, actions, flush = false, className, children }: { title?: ReactNode; note?: ReactNode; actions?: ReactNode; flush?: boolean; className?: string | undefined; children?: ReactNode }): ReactNode {
  const id = useId();
  return (
    <section className={cx(styles.card, !flush && styles.padded, className)} aria-labelledby={title ? id : undefined}>
      {title && (
        <header className={styles.head}>
          <div>
            <h2 id={id}>{title}</h2>
            {note && <p className={styles.note}>{note}</p>}
          </div>
          {actions}
        </header>
      )}
      {children}
    </section>
  );
}
