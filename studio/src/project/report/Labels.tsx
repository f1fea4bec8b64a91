import { type ReactNode, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useAnswerForm } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { withInterval } from "./Headline";
import type { Report, ReportView } from "./queries";
import styles from "./Report.module.css";
import { metricTerm } from "./wording";

type ClassRow = Report["per_class"][number];
type Sorting = "label" | "precision" | "recall" | "f1" | "support" | "train";

const FEW = 12;
/** The figures of an answer with fewer test rows say next to nothing: of 1 row, 100 % means 21 % or more. */
export const LEAST_ROWS = 5;
const NAMED = 6;
const NAMED_LEFT_OUT = 30;

const VALUE: Record<Exclude<Sorting, "label">, (row: ClassRow) => number> = {
  precision: (row) => row.precision?.value ?? 2,
  recall: (row) => row.recall?.value ?? 2,
  f1: (row) => row.f1?.value ?? 2,
  support: (row) => row.support,
  train: (row) => row.train ?? 0,
};

/** Each label's scores, the weakest first. Where labels are many, those with too few test rows to say anything are folded. */
export function Labels({ project, view }: { project: string; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const rows = view.report.per_class;
  const shape = useAnswerForm(project).data?.shape;
  const what = shape === "fields" ? "field" : shape === "spans" ? "kind" : "label";
  const title = t(shape === "fields" ? "report.fieldLabels" : shape === "spans" ? "report.kindLabels" : "report.labels");
  const [sorting, setSorting] = useState<Sorting>("f1");
  const [down, setDown] = useState(false);
  const [all, setAll] = useState(false);
  const sorted = useMemo(() => {
    const compare = (one: ClassRow, other: ClassRow) => (sorting === "label" ? one.label.localeCompare(other.label) : VALUE[sorting](one) - VALUE[sorting](other) || one.label.localeCompare(other.label));
    return [...rows].sort((one, other) => (down ? -1 : 1) * compare(one, other));
  }, [rows, sorting, down]);
  if (rows.length === 0) return null;
  const leftOut = view.report.data.left_out;
  const telling = rows.length > FEW ? sorted.filter((row) => row.support >= LEAST_ROWS) : sorted;
  const folded = sorted.filter((row) => !telling.includes(row));
  const missed = folded.filter((row) => row.support > 0 && (row.recall?.value ?? 1) < 1);
  const shown = all ? sorted : telling.slice(0, FEW);
  const sort = (name: Sorting) => {
    setDown(name === sorting ? !down : false);
    setSorting(name);
  };
  const head = (name: Sorting, number = true) => (
    <th scope="col" className={cx(number && styles.right)} aria-sort={name === sorting ? (down ? "descending" : "ascending") : "none"}>
      <button type="button" className={styles.sort} title={metricTerm(t, name)} onClick={() => sort(name)}>
        {t(`report.column.${name === "label" ? what : name}`)}
        <span aria-hidden="true">{name === sorting ? (down ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
  return (
    <Card title={title} note={t(shape === "fields" ? "report.fieldLabelsNote" : "report.labelsNote")}>
      {shown.length > 0 && <div className={styles.wide} tabIndex={0} role="region" aria-label={title}>
        <table className={styles.table}>
          <thead>
            <tr>
              {head("label", false)}
              {head("f1")}
              {head("precision")}
              {head("recall")}
              {head("support")}
              {head("train")}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.label}>
                <th scope="row">{row.label}</th>
                <td className={styles.right}>
                  <span className={styles.meter} aria-hidden="true">
                    <i style={{ width: `${100 * (row.f1?.value ?? 0)}%` }} />
                  </span>
                  {withInterval(row.f1)}
                </td>
                <td className={styles.right}>{withInterval(row.precision)}</td>
                <td className={styles.right}>{withInterval(row.recall)}</td>
                <td className={styles.right}>{formatNumber(row.support)}</td>
                <td className={styles.right}>{typeof row.train === "number" ? formatNumber(row.train) : ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>}
      {!all && folded.length > 0 && (
        <p className={cx(styles.soft, styles.folded)}>
          {t("report.folded", { count: folded.length, labels: formatNumber(folded.length), least: formatNumber(LEAST_ROWS) })}
          {missed.length > 0 && ` ${t("report.foldedMissed", { count: missed.length, labels: formatNumber(missed.length), names: missed.slice(0, NAMED).map((row) => row.label).join(", ") + (missed.length > NAMED ? " …" : "") })}`}
        </p>
      )}
      {leftOut.length > 0 && (
        <p className={styles.folded}>
          {t("report.leftOut", { count: leftOut.length, labels: formatNumber(leftOut.length), names: leftOut.slice(0, NAMED_LEFT_OUT).join(", ") + (leftOut.length > NAMED_LEFT_OUT ? " …" : "") })}{" "}
          <Link to={`/projects/${project}/data`}>{t("report.leftOutAdd")}</Link>
        </p>
      )}
      {rows.length > FEW && (
        <div className={styles.more}>
          <Button small onClick={() => setAll(!all)}>
            {all ? t("report.fewer") : t("report.allLabels", { labels: formatNumber(rows.length) })}
          </Button>
        </div>
      )}
    </Card>
  );
}
