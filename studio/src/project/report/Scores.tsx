import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { Reliability } from "../../charts/Reliability";
import { formatNumber } from "../../i18n";
import { Card } from "../../ui/Card";
import { Badge } from "../../ui/Feedback";
import type { ReportView } from "./queries";
import styles from "./Report.module.css";
import { formatMetric, formatPoints, hasOneScore, suggests, useMetricName } from "./wording";

/** Whether a score means what it says. */
export function Scores({ view }: { view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const facts = view.report.calibration;
  if (!facts?.bins.length) return null;
  const off = typeof facts.ece_after === "number" ? Math.round(1_000 * facts.ece_after) / 10 : null;
  const graded = view.report.graded;
  if (graded && (!facts.fitted || hasOneScore(view))) {
    return (
      <Card title={t("report.scores")}>
        <p className={styles.soft}>{t(facts.fitted ? "report.oneScore" : "report.scoresUnfitted")}</p>
      </Card>
    );
  }
  const words = off === null ? t("report.calibrationUnknown") : t("report.calibration", { off: formatNumber(off), count: off });
  return (
    <Card title={t("report.scores")} note={t(graded ? "report.scoresGradedNote" : "report.scoresNote")}>
      <Reliability bins={facts.bins} summary={words} graded={graded} />
      <p className={styles.soft}>{words}</p>
    </Card>
  );
}

/** Whether what is served is what was trained. */
export function Parity({ view }: { view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const metricName = useMetricName(view);
  const { report } = view;
  const parity = report.parity;
  if (!parity) return null;
  const show = (value: number | undefined) => (value === undefined ? "–" : formatMetric(report, parity.metric, value));
  return (
    <Card
      title={t("report.parity")}
      actions={
        <Badge tone={parity.passed ? "good" : "bad"} icon={parity.passed ? "check" : "warning"}>
          {t(parity.passed ? "report.parityPassed" : "report.parityFailed")}
        </Badge>
      }
    >
      <p>
        {t(parity.agreement.value === 1 ? "report.paritySame" : "report.parityWords", { n: formatNumber(parity.n), share: formatNumber(100 * parity.agreement.value, { maximumFractionDigits: 1 }) })}
        {report.graded && !suggests(view) && ` ${t("report.parityGraded")}`}
        {report.headline === "outcome_right" && parity.served?.value !== report.metrics?.[parity.metric]?.value && ` ${t("report.parityDry")}`}
      </p>
      <dl className={styles.figures}>
        <div>
          <dt>{t("report.trained", { metric: metricName(parity.metric) })}</dt>
          <dd>{show(parity.trained?.value)}</dd>
        </div>
        <div>
          <dt>{t("report.served", { metric: metricName(parity.metric) })}</dt>
          <dd>{show(parity.served?.value)}</dd>
        </div>
        <div>
          <dt>{t("report.change")}</dt>
          <dd>{report.graded ? formatNumber(parity.change.value, { signDisplay: "exceptZero", maximumFractionDigits: 3 }) : `${formatPoints(parity.change.value)} ${t("report.points")}`}</dd>
        </div>
      </dl>
      {parity.changed.length > 0 && (
        <details className={styles.details}>
          <summary>{t("report.changedTexts", { n: formatNumber(parity.changed.length), count: parity.changed.length })}</summary>
          <ul className={styles.answers}>
            {parity.changed.slice(0, 20).map((one, place) => (
              <li key={place} className={styles.answer}>
                <p className={styles.quote}>{one.text}</p>
                <p className={styles.soft}>
                  {t("report.trainedSaid")} <b>{one.trained}</b>, {t("report.servedSaid")} <b>{one.served}</b>
                </p>
              </li>
            ))}
          </ul>
        </details>
      )}
    </Card>
  );
}
