import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { useRestore, useVersions } from "../../api/queries";
import { formatNumber, formatTime } from "../../i18n";
import { lineOf } from "../../ui/answer/answers";
import { useWords } from "../../ui/answer/AnswerView";
import { Button } from "../../ui/Button";
import { Skeleton } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { MOST_CHANGES, useChanges } from "./queries";
import styles from "./Versions.module.css";

/** The versions of the data: who changed what, and when; an older one can be restored. */
export function Versions({ project, onClose }: { project: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const versions = useVersions(project, true);
  const restore = useRestore(project);
  const [compared, setCompared] = useState<{ older: number; newer: number } | null>(null);
  if (compared && versions.data) return <Changes project={project} {...compared} numbers={versions.data.map((version) => version.number)} onOlder={(older) => setCompared({ ...compared, older })} onBack={() => setCompared(null)} onClose={onClose} />;
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
              <strong>{[t(`action.${version.action}`), version.details["file"]].filter(Boolean).join(": ")}</strong>
              <p>{t("data.versionFacts", { count: version.changed, changed: formatNumber(version.changed), rows: formatNumber(version.rows), author: version.author, when: formatTime(new Date(version.time * 1000).toISOString()) })}</p>
            </div>
            <div className={styles.actions}>
            {version.changed > 0 && (
              <Button small kind="quiet" onClick={() => setCompared({ older: version.number - 1, newer: version.number })}>
                {t("data.changes")}
              </Button>
            )}
            {place > 0 && (
              <Button small busy={restore.isPending && restore.variables === version.number} onClick={() => restore.mutate(version.number)}>
                {t("data.restore")}
              </Button>
            )}
            </div>
          </li>
        ))}
      </ol>
    </Dialog>
  );
}

interface ChangesProps {
  project: string;
  older: number;
  newer: number;
  numbers: readonly number[];
  onOlder: (older: number) => void;
  onBack: () => void;
  onClose: () => void;
}

/** The rows that differ between two versions: how each was, and how it is. */
function Changes({ project, older, newer, numbers, onOlder, onBack, onClose }: ChangesProps): ReactNode {
  const { t } = useTranslation();
  const changes = useChanges(project, older, newer);
  const words = useWords();
  const others = [...numbers.filter((number) => number < newer), 0];
  return (
    <Dialog open wide onClose={onClose} title={t("data.changesTitle", { older: formatNumber(older), newer: formatNumber(newer) })} foot={<Button onClick={onBack}>{t("data.backToHistory")}</Button>}>
      <Select label={t("data.compareWith")} value={String(older)} options={others.map((number) => ({ value: String(number), label: t("data.versionNumber", { number: formatNumber(number) }) }))} onChange={(event) => onOlder(Number(event.target.value))} />
      <Problem query={changes} />
      {changes.isPending && <Skeleton label={t("common.loading")} />}
      {changes.data?.length === 0 && <p>{t("data.noChanges")}</p>}
      {changes.data?.length === MOST_CHANGES && <p className={styles.soft}>{t("data.firstChanges", { rows: formatNumber(MOST_CHANGES) })}</p>}
      <ul className={styles.changes}>
        {changes.data?.map(({ key, before, after }) => {
          const moved = before !== null && after !== null && before.part !== after.part;
          const said = (row: typeof before) => (row === null ? t("data.notThere") : [lineOf(row.output, row.input, words) || t("data.unlabelled"), ...(moved ? [t(`data.${row.part}`)] : [])].join(" · "));
          return (
            <li key={key}>
              {before && after && before.input !== after.input && (
                <p>
                  <del>{before.input}</del>
                </p>
              )}
              <p>{(after ?? before)?.input}</p>
              <p className={styles.soft}>
                <del>{said(before)}</del> → <ins>{said(after)}</ins>
              </p>
            </li>
          );
        })}
      </ul>
    </Dialog>
  );
}
