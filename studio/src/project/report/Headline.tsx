import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { formatNumber, formatShare } from "../../i18n";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Icon } from "../../ui/icons";
import type { ReportView } from "./queries";
import styles from "./Report.module.css";
import { baseline, formatMegabytes, formatMetric, formatMilliseconds, formatPoints, formatSeconds, metricTerm, suggests, useBaselineName, useMetricName } from "./wording";
import { lacking } from "./enough";

/** Main metrics with a sentence of their own. */
const OWN: Readonly<Record<string, string>> = { outcome_right: "report.outcomesOf", hit_rate_10: "report.hitsOf" };

/** Whether a report is of outcomes or of lists, which no likeness of texts describes. */
export function countsOutcomes(headline: string): boolean {
  return headline in OWN;
}

/** The result in a sentence, its interval, and whether it was worth it. */
export function Headline({ project, view }: { project: string; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const metricName = useMetricName(view);
  const { report } = view;
  const found = report.metrics?.[report.headline];
  if (!found) {
    return (
      <Card>
        <p className={styles.opening}>{t("report.notMeasured")}</p>
        <p className={styles.soft}>{t("report.notMeasuredTodo")}</p>
      </Card>
    );
  }
  const spoken = { low: formatMetric(report, report.headline, found.low), high: formatMetric(report, report.headline, found.high), n: formatNumber(found.n), count: found.n };
  const right = report.headline === "accuracy";
  const own = OWN[report.headline];
  if (lacking(report.headline, found.n) > 0) {
    return (
      <Card>
        <p className={styles.opening}>{t("report.tooFew", { count: found.n, number: formatNumber(found.n) })}</p>
        <p className={styles.soft}>{t("report.tooFewTodo", { more: formatNumber(2 * lacking(report.headline, found.n)) })}</p>
        <p><Link to={`/projects/${project}/tests`}>{t("nav.tests")}</Link></p>
      </Card>
    );
  }
  if (own) {
    const wrong = report.metrics?.["wrong_given"];
    return (
      <Card>
        <p className={styles.opening}>{t(own, { of: ofHundred(found.value), n: formatNumber(found.n) })}</p>
        <p className={styles.soft}>
          {wrong && `${t("report.wrongGiven", { of: ofHundred(wrong.value) })} `}
          {t("report.between", spoken)}
          {found.n < 400 && ` ${t("report.few")}`}
        </p>
        <Verdict view={view} />
        <Figures view={view} />
      </Card>
    );
  }
  if (report.graded) return <WrittenHeadline view={view} spoken={spoken} few={found.n < 200} />;
  const { precision, recall } = report.metrics ?? {};
  const parts = report.headline === "f1" && precision && recall ? { right: ofHundred(precision.value), found: ofHundred(recall.value) } : null;
  return (
    <Card>
      <p className={styles.opening}>{right ? t(found.value >= 1 ? "report.allRight" : "report.rightOf", { of: ofHundred(found.value), n: formatNumber(found.n) }) : parts ? t(found.value >= 1 ? "report.foundAll" : "report.foundOf", { ...parts, n: formatNumber(found.n) }) : report.headline === "exact_match" ? t("report.wholeOf", { of: ofHundred(found.value) }) : t("report.metricIs", { metric: metricName(report.headline), value: formatMetric(report, report.headline, found.value) })}</p>
      <p className={styles.soft}>
        {parts ? t("report.foundBetween", { ...spoken, value: formatMetric(report, report.headline, found.value) }) : t("report.between", spoken)}
        {found.n < 400 && ` ${t("report.few")}`}
      </p>
      <Verdict view={view} />
      <Figures view={view} />
    </Card>
  );
}

/** The result of a model that writes: the facts that its texts keep, and how near they come to one's own. */
function WrittenHeadline({ view, spoken, few }: { view: ReportView; spoken: { low: string; high: string; n: string; count: number }; few: boolean }): ReactNode {
  const { t } = useTranslation();
  const { report } = view;
  const { coverage, unsupported } = report.metrics ?? {};
  const likeness = formatMetric(report, report.headline, report.metrics?.[report.headline]?.value ?? 0);
  return (
    <Card>
      <p className={styles.opening}>{coverage ? t("report.factsKept", { of: ofHundred(coverage.value) }) : t("report.likeYours", { value: likeness })}</p>
      <p className={styles.soft}>
        {unsupported && `${t("report.madeUp", { of: ofHundred(unsupported.value), low: formatShare(unsupported.low), high: formatShare(unsupported.high) })} `}
        {coverage && `${t("report.likeYours", { value: likeness })} `}
        {t("report.likeYoursAbout", spoken)}
        {few && ` ${t("report.few")}`}
      </p>
      <Verdict view={view} />
      <Figures view={view} />
    </Card>
  );
}

/** A share as whole answers of a hundred; never rounded up to all of them. */
function ofHundred(share: number): string {
  const hundred = 100 * share;
  return formatNumber(hundred > 99 || hundred < 1 ? Math.floor(hundred * 10) / 10 : Math.round(hundred));
}

const MARKS = { yes: "check", barely: "info", no: "warning", open: "info" } as const;

function Verdict({ view }: { view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const { report, verdict } = view;
  const other = useBaselineName(view);
  const base = baseline(report);
  const change = base?.change;
  const own = base !== null && report.student.kind === base.name;
  const size = report.graded ? (value: number) => formatNumber(value, { signDisplay: "exceptZero", maximumFractionDigits: 3 }) : formatPoints;
  const none = view.members.length > 0 ? "members" : "none";
  const kind = !change ? none : own ? "itself" : verdict === "open" && report.data.made ? "made" : verdict;
  const unit = report.graded ? "" : ` ${t("report.points")}`;
  return (
    <p className={cx(styles.verdict, styles[verdict])}>
      <Icon name={MARKS[verdict]} size={20} />
      <span>{t(`report.verdict.${kind}`, { other, by: change ? `${size(change.value)}${unit}` : "", low: change ? size(change.low) : "", high: change ? size(change.high) : "" })}</span>
    </p>
  );
}

function Figures({ view }: { view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const { report } = view;
  const { speed, training } = report;
  const metricName = useMetricName(view);
  const figures: [name: string, value: string, below: string, term?: string | undefined][] = [];
  const told = report.graded && report.metrics?.["coverage"] ? ["rouge1", "rouge2", "rougeLsum", "chrf", "coverage"] : [report.headline];
  for (const [name, metric] of Object.entries(report.metrics ?? {})) {
    if (!told.includes(name) && figures.length < 2) figures.push([metricName(name), formatMetric(report, name, metric.value), `${formatMetric(report, name, metric.low)} – ${formatMetric(report, name, metric.high)}`, metricTerm(t, name)]);
  }
  if (typeof speed.latency_ms_p50 === "number") figures.push([t("report.oneAnswer"), formatMilliseconds(speed.latency_ms_p50), t("report.median")]);
  if (typeof speed.tokens_per_second === "number") figures.push([t("report.tokens"), formatNumber(speed.tokens_per_second, { maximumFractionDigits: 0 }), t("report.oneAtATime")]);
  else if (typeof speed.texts_per_second === "number") figures.push([t("report.perSecond"), formatNumber(speed.texts_per_second, { maximumSignificantDigits: 3 }), t("report.inBatches")]);
  if (typeof speed.size_mb === "number") figures.push([t("report.size"), formatMegabytes(speed.size_mb), typeof speed.peak_memory_mb === "number" ? t("report.memory", { mb: formatMegabytes(speed.peak_memory_mb) }) : ""]);
  if (typeof training.seconds === "number") figures.push([t("report.trainedIn"), formatSeconds(training.seconds), typeof training.energy_wh === "number" ? energy(t, training.energy_wh, training.energy_method) : ""]);
  return (
    <dl className={styles.figures}>
      {figures.map(([name, value, below, term]) => (
        <div key={name}>
          <dt title={term}>{name}</dt>
          <dd>{value}</dd>
          {below && <dd className={styles.below}>{below}</dd>}
        </div>
      ))}
    </dl>
  );
}

function energy(t: (key: string, values: Record<string, string>) => string, hours: number, method: string | null | undefined): string {
  return t(method?.startsWith("rapl") ? "report.energy" : "report.energyEstimate", { wh: formatNumber(hours, { maximumSignificantDigits: 2 }) });
}

/** All metrics with their intervals, for tasks with more of them than the headline shows. */
export function Metrics({ view }: { view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const metricName = useMetricName(view);
  const { report } = view;
  const metrics = Object.entries(report.metrics ?? {});
  if (metrics.length < 2 || lacking(report.headline, report.metrics?.[report.headline]?.n ?? 0) > 0) return null;
  const rows = new Set(metrics.map(([, metric]) => metric.n));
  const same = rows.size === 1;
  return (
    <Card title={t("report.metrics")} note={`${t("report.intervalNote")}${same ? ` ${t("report.onRows", { n: formatNumber([...rows][0] ?? 0) })}` : ""}${report.graded && !suggests(view) ? ` ${t("report.gradesNote")}` : ""}`}>
      <div className={styles.wide} tabIndex={0} role="region" aria-label={t("report.metrics")}>
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">{t("report.metric")}</th>
              <th scope="col" className={styles.right}>{t("report.value")}</th>
              <th scope="col" className={styles.right}>{t("report.interval")}</th>
              {!same && <th scope="col" className={styles.right}>{t("report.testRows")}</th>}
            </tr>
          </thead>
          <tbody>
            {metrics.map(([name, metric]) => (
              <tr key={name}>
                <th scope="row" title={metricTerm(t, name)}>{metricName(name)}</th>
                <td className={styles.right}>{formatMetric(report, name, metric.value)}</td>
                <td className={styles.right}>
                  {formatMetric(report, name, metric.low)} – {formatMetric(report, name, metric.high)}
                </td>
                {!same && <td className={styles.right}>{formatNumber(metric.n)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

/** A share with its interval, in one cell. */
export function withInterval(metric: { value: number; low: number; high: number } | null | undefined): string {
  return metric ? `${formatShare(metric.value, 1)} (${formatShare(metric.low)}–${formatShare(metric.high)})` : "";
}
