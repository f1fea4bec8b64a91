import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";

import { useMay, useStartRun } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { SpeedQuality } from "../../charts/SpeedQuality";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";
import { candidateName } from "../../ui/settings";
import type { Alternative, ReportView } from "./queries";
import styles from "./Report.module.css";
import { formatMegabytes, formatMetric, formatMilliseconds, formatSeconds, useMetricName } from "./wording";

const WHOLE = ["fp32", "f16", ""];

function sentence(text: string): string {
  return text && `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
}

/** The models that could have been shipped, by size, speed and quality. One can be picked and built. */
export function Candidates({ project, view }: { project: string; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const metricName = useMetricName(view);
  const { report } = view;
  const [picked, setPicked] = useState(report.alternatives.find((one) => one.chosen)?.name ?? report.alternatives[0]?.name ?? "");
  const rows = report.alternatives;
  const titleOf = (row: Alternative) => candidateName(t, row.student, row.method);
  if (rows.length < 2) return null;
  const bubbles = rows.flatMap((row) => (row.accuracy && typeof row.latency_ms_p50 === "number" ? [{ name: row.name, title: titleOf(row), latency: row.latency_ms_p50, value: row.accuracy.value, low: row.accuracy.low, high: row.accuracy.high, size: row.size_mb ?? null, reference: row.baseline }] : []));
  const format = (value: number) => formatMetric(report, report.headline, value);
  const chosen = rows.find((row) => row.name === picked);
  const compared = rows.find((row) => row.chosen)?.accuracy?.n ?? 0;
  const tested = report.metrics?.[report.headline]?.n ?? 0;
  const fewer = compared < tested ? ` ${t("report.comparedOn", { n: formatNumber(compared), total: formatNumber(tested) })}` : "";
  return (
    <Card title={t("report.candidates")} note={`${t("report.candidatesNote")}${fewer}`}>
      {bubbles.length > 1 && <SpeedQuality bubbles={bubbles} picked={picked} onPick={setPicked} format={format} yLabel={metricName(report.headline)} summary={t("report.candidatesSummary", { n: bubbles.length })} />}
      <div className={styles.wide} tabIndex={0} role="region" aria-label={t("report.candidates")}>
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">{t("report.candidate")}</th>
              <th scope="col" className={styles.right}>{metricName(report.headline)}</th>
              <th scope="col" className={styles.right}>{t("report.oneAnswer")}</th>
              <th scope="col" className={styles.right}>{t("report.size")}</th>
              <th scope="col" className={styles.right}>{t("report.trainedIn")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.name} className={cx(row.name === picked && styles.current)}>
                <th scope="row">
                  <label className={styles.pick}>
                    <input type="radio" name="candidate" checked={row.name === picked} onChange={() => setPicked(row.name)} />
                    {titleOf(row)}
                    {row.chosen && <Badge tone="accent">{t("report.thisModel")}</Badge>}
                  </label>
                </th>
                <td className={styles.right}>{row.accuracy ? format(row.accuracy.value) : ""}</td>
                <td className={styles.right}>{typeof row.latency_ms_p50 === "number" ? formatMilliseconds(row.latency_ms_p50) : ""}</td>
                <td className={styles.right}>{typeof row.size_mb === "number" ? formatMegabytes(row.size_mb) : ""}</td>
                <td className={styles.right}>{typeof row.seconds === "number" ? formatSeconds(row.seconds) : ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {chosen && <Picked project={project} row={chosen} because={report.student.chosen_because} />}
    </Card>
  );
}

function Picked({ project, row, because }: { project: string; row: Alternative; because: string }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const start = useStartRun(project);
  const go = useNavigate();
  const recipe = { student: { kind: row.student }, compress: { method: WHOLE.includes(row.method) ? "none" : row.method } };
  return (
    <div className={styles.picked}>
      <p>{row.chosen ? sentence(told(because)) || t("report.thisModel") : row.why_not ? `${t("report.whyNot")} ${told(row.why_not)}.` : ""}</p>
      <Problem query={{ error: start.error }} />
      {!row.chosen && !row.baseline && (
        <Button small icon="build" disabled={!may} title={may ? undefined : t("report.mayNot")} busy={start.isPending} onClick={() => start.mutate({ kind: "build", request: { recipe } }, { onSuccess: () => void go(`/projects/${project}/build`) })}>
          {t("report.buildThis")}
        </Button>
      )}
    </div>
  );
}
