import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useRestore, useVersions } from "../../api/queries";
import { formatNumber, formatTime } from "../../i18n";
import { Button } from "../../ui/Button";
import { Skeleton } from "../../ui/Feedback";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import styles from "./Versions.module.css";

/** The versions of the data: who changed what, and when; an older one can be restored. */
export function Versions({ project, onClose }: { project: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const versions = useVersions(project, true);
  const restore = useRestore(project);
  return (
    <Dialog open wide onClose={onClose} title={t("data.history")} about={t("data.historyAbout")}>
      <Problem query={versions} />
      <Problem query={{ error: restore.error }} />
      {versions.isPending && <Skeleton label={t("common.loading")} />}
      <ol className={styles.list}>
        {versions.data?.map((version, place) => (
          <li key={version.number}>
            <span className="numbers">{version.number}</span>
            <div>
              <strong>{t(`action.${version.action}`)}</strong>
              <p>{t("data.versionFacts", { changed: formatNumber(version.changed), rows: formatNumber(version.rows), author: version.author, when: formatTime(new Date(version.time * 1000).toISOString()) })}</p>
            </div>
            {place > 0 && (
              <Button small busy={restore.isPending && restore.variables === version.number} onClick={() => restore.mutate(version.number)}>
                {t("data.restore")}
              </Button>
            )}
          </li>
        ))}
      </ol>
    </Dialog>
  );
}
