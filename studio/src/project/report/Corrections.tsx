import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useModels } from "../../api/models";
import { type Run, useData } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { AnswerLine } from "../../ui/answer/AnswerView";
import { ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Notice } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { useModelName } from "../../ui/ModelPicker";
import { Problem } from "../../ui/Problem";
import { type Comparison, type ReportView, useChanges } from "./queries";
import styles from "./Report.module.css";
import { formatMetric, formatPoints } from "./wording";

/** That the data have changed since the model was built. */
export function StaleNotice({ project, model }: { project: string; model: Run }): ReactNode {
  const { t } = useTranslation();
  const data = useData(project);
  const version = Number(model.result?.["version"] ?? 0);
  if (!data.data || version === 0 || data.data.version <= version) return null;
  return (
    <div className={styles.notice}>
      <Notice tone="accent" action={<ButtonLink small kind="primary" to={`/projects/${project}/build`}>{t("report.buildAgain")}</ButtonLink>}>
        {t("report.stale", { changes: formatNumber(data.data.version - version), count: data.data.version - version })}
      </Notice>
    </div>
  );
}

/** What changed from an earlier build: the data between them, and what came of it. */
export function Corrections({ project, view, model }: { project: string; view: ReportView; model: Run }): ReactNode {
  const { t } = useTranslation();
  const [address, setAddress] = useSearchParams();
  const models = useModels(project) ?? [];
  const modelName = useModelName(project);
  const place = models.findIndex((run) => run.id === model.id);
  const others = models.filter((run) => run.id !== model.id);
  const wanted = address.get("earlier");
  const earlier = others.some((run) => run.id === wanted) ? wanted : (models[place + 1]?.id ?? null);
  const changes = useChanges(project, model.id, earlier ?? undefined);
  if (others.length === 0 || earlier === null) return null;
  const found = changes.data;
  return (
    <Card
      title={t(found?.rows_changed === 0 ? "report.beside" : "report.changes")}
      note={t("report.changesNote")}
      actions={
        others.length > 1 && (
          <div className={styles.earlier}>
            <Select label={t("report.comparedWith")} value={earlier} options={others.map((run) => ({ value: run.id, label: modelName(run) }))} onChange={(event) => setAddress((before) => new URLSearchParams({ ...Object.fromEntries(before), earlier: event.target.value }))} />
          </div>
        )
      }
    >
      <Problem query={changes} />
      {found && <Found view={view} found={found} />}
    </Card>
  );
}

function Found({ view, found }: { view: ReportView; found: Comparison }): ReactNode {
  const { t } = useTranslation();
  const { report } = view;
  const { change, before, after } = found;
  const size = (value: number) => (report.graded ? formatNumber(value, { signDisplay: "exceptZero", maximumFractionDigits: 3 }) : formatPoints(value));
  const verdict = !change ? "none" : change.low > 0 ? "better" : change.high < 0 ? "worse" : "same";
  const show = (value: number | undefined) => (value === undefined ? "–" : formatMetric(report, found.headline, value));
  return (
    <div className={styles.stack}>
      <p className={styles.pointWords}>
        {t(`report.changed.${verdict}`, { by: change ? size(change.value) : "", low: change ? size(change.low) : "", high: change ? size(change.high) : "", shared: formatNumber(found.shared), unit: report.graded ? "" : t("report.points") })}
      </p>
      <dl className={styles.figures}>
        <div>
          <dt>{t("report.before")}</dt>
          <dd>{show(before?.value)}</dd>
        </div>
        <div>
          <dt>{t("report.after")}</dt>
          <dd>{show(after?.value)}</dd>
        </div>
        <div>
          <dt>{t(report.graded ? "report.gainedGraded" : "report.gained")}</dt>
          <dd>{formatNumber(found.gained)}</dd>
          {found.corrected > 0 && <dd className={styles.below}>{t("report.ofCorrected", { rows: formatNumber(found.corrected), count: found.corrected })}</dd>}
        </div>
        <div>
          <dt>{t(report.graded ? "report.lostGraded" : "report.lost")}</dt>
          <dd>{formatNumber(found.lost)}</dd>
        </div>
        <div>
          <dt>{t("report.rowsChanged")}</dt>
          <dd>{formatNumber(found.rows_changed)}</dd>
        </div>
      </dl>
      {found.row_changes.length > 0 && (
        <details className={styles.details}>
          <summary>{t("report.seeChanges")}</summary>
          <ul className={styles.changeList}>
            {found.row_changes.slice(0, 50).map((row) => (
              <li key={row.key}>
                <span className={styles.quote}>{(row.after ?? row.before)?.input}</span>
                <span className={styles.soft}>
                  {row.before ? <AnswerLine value={row.before.output} text={row.before.input} /> : t("report.added")} → {row.after ? <AnswerLine value={row.after.output} text={row.after.input} /> : t("report.removed")}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
