import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import type { Run } from "../../api/queries";
import { formatDuration, formatNumber, formatShare, formatTime } from "../../i18n";
import { ButtonLink, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Problem } from "../../ui/Problem";
import { useChanges } from "../report/queries";
import { formatMegabytes, formatMilliseconds, formatPoints, formatSeconds } from "../report/wording";
import { candidateName } from "../../ui/settings";
import styles from "./Build.module.css";
import { changesOf, madeFrom, presetOf, summaryOf } from "./runs";

/** Builds side by side: the ones that the URL names as `compare`. The first is what the others are compared with. */
export function Compare({ project, runs }: { project: string; runs: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const [address, setAddress] = useSearchParams();
  const wanted = (address.get("compare") ?? "").split(",");
  const chosen = runs.filter((run) => run.state === "done" && wanted.includes(run.id)).sort((one, other) => one.queued - other.queued);
  if (chosen.length < 2) return null;
  const first = chosen[0] as Run;
  const metrics = [...new Set(chosen.flatMap((run) => Object.keys(summaryOf(run).metrics ?? {})))];
  const maybe = (value: number | null | undefined, format: (value: number) => string) => (typeof value === "number" ? format(value) : "–");
  const lines: { name: string; cell: (run: Run) => ReactNode }[] = [
    { name: t("build.preset"), cell: (run) => presetOf(t, run) },
    ...metrics.map((metric) => ({
      name: t(`metric.${metric}`, { defaultValue: metric }),
      cell: (run: Run) => {
        const found = summaryOf(run).metrics?.[metric];
        if (!found) return "–";
        const format = (value: number) => (summaryOf(run).graded ? formatNumber(value, { maximumFractionDigits: 3 }) : formatShare(value, 1));
        return (
          <>
            <strong>{format(found.value)}</strong> <span className={styles.time}>({format(found.low)}–{format(found.high)})</span>
          </>
        );
      },
    })),
    { name: t("build.difference"), cell: (run) => (run.id === first.id ? t("build.reference") : <Difference project={project} run={run} first={first} />) },
    { name: t("build.student"), cell: (run) => (summaryOf(run).student?.kind ? candidateName(t, summaryOf(run).student?.kind ?? "", summaryOf(run).student?.method) : "–") },
    { name: t("report.oneAnswer"), cell: (run) => maybe(summaryOf(run).speed?.latency_ms_p50, formatMilliseconds) },
    { name: t("report.perSecond"), cell: (run) => maybe(summaryOf(run).speed?.texts_per_second, (value) => formatNumber(value, { maximumSignificantDigits: 3 })) },
    { name: t("report.size"), cell: (run) => maybe(summaryOf(run).speed?.size_mb, formatMegabytes) },
    { name: t("build.took"), cell: (run) => maybe(madeFrom(run).seconds, formatDuration) },
    { name: t("report.trainedIn"), cell: (run) => maybe(summaryOf(run).training?.seconds, formatSeconds) },
    { name: t("build.energy"), cell: (run) => maybe(summaryOf(run).training?.energy_wh, (value) => `${formatNumber(value, { maximumSignificantDigits: 2 })} Wh`) },
    { name: t("build.dataVersion"), cell: (run) => maybe(madeFrom(run).version, formatNumber) },
    { name: t("build.settings"), cell: (run) => changesOf(run).join("; ") || t("build.unchanged") },
  ];
  return (
    <Card
      title={t("build.compareTitle")}
      note={t("build.compareNote")}
      actions={
        <IconButton
          icon="close"
          small
          label={t("common.close")}
          onClick={() =>
            setAddress((before) => {
              before.delete("compare");
              return before;
            })
          }
        />
      }
    >
      <div className={styles.wide} tabIndex={0} role="region" aria-label={t("build.compareTitle")}>
        <table className={cx(styles.past, styles.compare)}>
          <thead>
            <tr>
              <td />
              {chosen.map((run) => (
                <th key={run.id} scope="col">
                  {formatTime(new Date(run.queued * 1000).toISOString())}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {lines.map((line) => (
              <tr key={line.name}>
                <th scope="row">{line.name}</th>
                {chosen.map((run) => (
                  <td key={run.id} className="numbers">
                    {line.cell(run)}
                  </td>
                ))}
              </tr>
            ))}
            <tr>
              <td />
              {chosen.map((run) => (
                <td key={run.id}>
                  <ButtonLink small to={`/projects/${project}/report?run=${run.id}`}>
                    {t("nav.report")}
                  </ButtonLink>
                </td>
              ))}
            </tr>
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function Difference({ project, run, first }: { project: string; run: Run; first: Run }): ReactNode {
  const { t } = useTranslation();
  const changes = useChanges(project, run.id, first.id);
  if (changes.error) return <Problem query={changes} />;
  if (!changes.data) return "…";
  const { change, shared } = changes.data;
  if (!change) return t("build.noShared");
  const size = summaryOf(run).graded ? (value: number) => formatNumber(value, { signDisplay: "exceptZero", maximumFractionDigits: 3 }) : (value: number) => `${formatPoints(value)} ${t("report.points")}`;
  const sure = change.low > 0 || change.high < 0;
  return (
    <>
      <strong>{size(change.value)}</strong> <span className={styles.time}>{t(sure ? "build.clear" : "build.chance", { rows: formatNumber(shared) })}</span>
    </>
  );
}
