import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber } from "../../i18n";
import styles from "./Label.module.css";
import type { Session } from "./session";

/** Whether all answers are saved, and how many are not yet. */
export function SaveState({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation();
  const { pending } = session;
  return (
    <span className={styles.saved} role="status">
      {pending.length ? t("label.unsaved", { count: pending.length, rows: formatNumber(pending.length) }) : t("label.saved")}
    </span>
  );
}
