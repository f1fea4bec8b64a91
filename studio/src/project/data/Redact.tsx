import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { api, body } from "../../api/client";
import { useDataChange, useStep } from "../../api/queries";
import type { components } from "../../api/schema";
import { formatNumber } from "../../i18n";
import { Button } from "../../ui/Button";
import { Notice, Skeleton } from "../../ui/Feedback";
import { Dialog, useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { partsOf } from "./replacements";
import styles from "./Versions.module.css";

type Keys = readonly number[] | null;

type Redacted = components["schemas"]["AppliedRedaction"];

function useRedact(project: string, onDone: (redacted: Redacted) => void) {
  return useDataChange(project, (keys: Keys) => body(api.POST("/api/v1/projects/{project}/personal-data", { params: { path: { project } }, body: { keys: keys === null ? null : [...keys] } })), onDone);
}

/** Rows before and after their personal data is replaced by placeholders. `keys`: of the rows; null for all with personal data. */
export function RedactRows({ project, keys, onClose }: { project: string; keys: Keys; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const toast = useToast();
  const step = useStep(project);
  const redact = useRedact(project, ({ version, left }) => {
    const changed = version?.changed ?? 0;
    const said = t("redact.done", { count: changed, rows: formatNumber(changed) });
    const kept = left > 0 ? ` ${t("redact.left", { count: left, rows: formatNumber(left) })}` : "";
    toast({ text: said + kept, ...(version ? { action: { label: t("common.undo"), run: () => step.mutate("undo") } } : {}) });
    onClose();
  });
  const preview = useQuery({
    queryKey: ["data", project, "redact", keys],
    queryFn: () => body(api.POST("/api/v1/projects/{project}/personal-data/preview", { params: { path: { project } }, body: { keys: keys === null ? null : [...keys] } })),
  });
  const found = preview.data;
  const number = Math.min(found?.total ?? 0, found?.most ?? 0);
  const unsafe = found?.rows.filter((row) => row.fault) ?? [];

  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={t("redact.title")}
      about={t("redact.about")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" disabled={number === 0} busy={redact.isPending} onClick={() => redact.mutate(keys)}>
            {t("redact.replace", { count: number, rows: formatNumber(number) })}
          </Button>
        </>
      }
    >
      <Problem query={preview} />
      {preview.isPending && <Skeleton label={t("redact.reading")} />}
      {found && found.total > found.rows.length && <p className={styles.soft}>{t("redact.first", { shown: formatNumber(found.rows.length), rows: formatNumber(found.total) })}</p>}
      {found && found.total > found.most && <Notice>{t("redact.most", { rows: formatNumber(found.most) })}</Notice>}
      {unsafe.length > 0 && <Notice tone="warn">{t("redact.unsafe", { count: unsafe.length, rows: formatNumber(unsafe.length) })}</Notice>}
      {/* A region that scrolls takes the focus, so that arrow keys scroll it. */}
      <div className={styles.changes} tabIndex={0} role="region" aria-label={t("redact.preview")}>
        <ul>
          {found?.rows.map((row) => (
            <li key={row.key}>
              {[
                { before: row.before, after: row.after },
                { before: row.second_before, after: row.second_after },
              ].map(({ before, after }, place) => before !== null && (place === 0 || before !== after) && <Change key={place} before={before} after={after ?? ""} fault={row.fault !== ""} />)}
            </li>
          ))}
        </ul>
      </div>
      <Problem query={{ error: redact.error }} />
    </Dialog>
  );
}

function Change({ before, after, fault }: { before: string; after: string; fault: boolean }): ReactNode {
  const { t } = useTranslation();
  if (before === after) {
    return (
      <p>
        {before} <span className={styles.soft}>{t(fault ? "redact.stays" : "redact.nothing")}</span>
      </p>
    );
  }
  const parts = partsOf(before, after);
  if (parts === null) {
    return (
      <>
        <p>
          <del>{before}</del>
        </p>
        <p>
          <ins>{after}</ins>
        </p>
      </>
    );
  }
  return (
    <p>
      {parts.map((part, place) =>
        part.after === null ? (
          <span key={place}>{part.before}</span>
        ) : (
          <span key={place}>
            <del>{part.before}</del> <ins>{part.after}</ins>
          </span>
        ),
      )}
    </p>
  );
}
