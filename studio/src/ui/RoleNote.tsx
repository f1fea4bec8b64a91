import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../api/queries";
import { Notice } from "./Feedback";
import styles from "./Shell.module.css";

/** Why nothing can be changed, for those who may only look. */
export function RoleNote(): ReactNode {
  const { t } = useTranslation();
  const mayEdit = useMay("edit");
  if (mayEdit) return null;
  return (
    <div className={styles.note}>
      <Notice>{t("role.onlyLook")}</Notice>
    </div>
  );
}
