import type { ReactNode } from "react";

import { formatNumber } from "../../i18n";
import styles from "./Run.module.css";

/** Figures as tiles: a name, a number, and a few words below. */
export function Counters({ figures }: { figures: readonly (readonly [string, number, string])[] }): ReactNode {
  return figures.map(([name, number, words]) => (
    <div key={name} className={styles.tile}>
      <span>{name}</span>
      <strong>{formatNumber(number)}</strong>
      <small>{words}</small>
    </div>
  ));
}
