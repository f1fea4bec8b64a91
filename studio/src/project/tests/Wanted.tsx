import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { cx } from "../../ui/cx";
import { Badge } from "../../ui/Feedback";
import layout from "../../ui/Layout.module.css";
import styles from "./Tests.module.css";
import { draftOf } from "./turns";

/** The outcome that is wanted of a message, with all that belongs to it. */
export function Wanted({ expect }: { expect: Record<string, unknown> | null | undefined }): ReactNode {
  const { t } = useTranslation();
  const wanted = draftOf({ say: "", expect });
  if (!wanted.outcome) return <p className={cx(styles.wanted, layout.soft)}>{t("tests.onlySaid")}</p>;
  const facts = [
    wanted.contains.length > 0 && t("tests.contains", { words: wanted.contains.join(", ") }),
    wanted.notContains.length > 0 && t("tests.notContains", { words: wanted.notContains.join(", ") }),
    wanted.document && t("tests.fromDocument", { document: wanted.document }),
    wanted.tool && t("tests.withTool", { tool: wanted.tool }),
  ].filter(Boolean);
  return (
    <div className={styles.wanted}>
      <div className={layout.badges}>
        <span className={layout.soft}>{t("tests.wanted")}</span>
        <Badge>{t(`tests.outcome.${wanted.outcome}`)}</Badge>
      </div>
      {facts.map((fact) => (
        <span key={String(fact)} className={layout.soft}>
          {fact}
        </span>
      ))}
    </div>
  );
}
