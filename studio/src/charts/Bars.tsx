import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber } from "../i18n";
import styles from "./Bars.module.css";

export interface BarEntry {
  name: string;
  value: number;
}

/** Bars of named numbers, each with its number beside it, so that it is a list as well as a picture. Of more than `most`, the rest unfolds. */
export function Bars({ entries, format, label, most = 10 }: { entries: readonly BarEntry[]; format: (value: number) => string; label: string; most?: number }): ReactNode {
  const { t } = useTranslation();
  const [all, setAll] = useState(false);
  const largest = Math.max(...entries.map((entry) => entry.value), Number.MIN_VALUE);
  const shown = all ? entries : entries.slice(0, most);
  return (
    <>
      <ul className={styles.bars} aria-label={label}>
        {shown.map((entry) => (
          <li key={entry.name}>
            <span className={styles.name}>{entry.name}</span>
            <span className={styles.track} aria-hidden="true">
              <span style={{ width: `${(100 * entry.value) / largest}%` }} />
            </span>
            <span className={styles.value}>{format(entry.value)}</span>
          </li>
        ))}
      </ul>
      {entries.length > shown.length && (
        <button type="button" className={styles.more} onClick={() => setAll(true)}>
          {t("common.showMore", { rows: formatNumber(entries.length - shown.length) })}
        </button>
      )}
    </>
  );
}
