import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useRunStories } from "../../api/events";
import type { Run } from "../../api/queries";
import { LineChart } from "../../charts/LineChart";
import { formatDuration, formatNumber, formatWhen } from "../../i18n";
import { ButtonLink, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Skeleton } from "../../ui/Feedback";
import { useBuildName } from "../../ui/ModelPicker";
import { Problem } from "../../ui/Problem";
import { shown } from "../data/ImportFile";
import { useChanges } from "../report/queries";
import { formatMegabytes, formatMetric, formatMilliseconds, formatPoints, formatSeconds } from "../report/wording";
import { candidateName, optionName, settingTitle } from "../../ui/settings";
import styles from "./Build.module.css";
import { differing, sideBySide } from "./curves";
import { asFigure } from "./OpenRun";
import { madeFrom, presetOf, settingsOf, summaryOf } from "./runs";

const NOTHING = "–";

/** Builds side by side: the ones that the URL names as `compare`. The first is what the others are compared with. */
export function Compare({ project, runs }: { project: string; runs: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const [address, setAddress] = useSearchParams();
  const buildName = useBuildName(project);
  const wanted = (address.get("compare") ?? "").split(",");
  const chosen = runs.filter((run) => run.state === "done" && wanted.includes(run.id)).sort((one, other) => one.queued - other.queued);
  if (chosen.length < 2) return null;
  const first = chosen[0] as Run;
  const metrics = [...new Set(chosen.flatMap((run) => Object.keys(summaryOf(run).metrics ?? {})))];
  const maybe = (value: number | null | undefined, format: (value: number) => string) => (typeof value === "number" ? format(value) : NOTHING);
  const settings = differing(chosen.map(settingsOf)).filter(({ section, name }) => section !== "student" || name !== "quality");
  const inWords = (name: string, value: unknown) => (value === null ? t("build.leftAlone") : typeof value === "string" ? optionName(t, name, value) : shown(value));
  const lines: { name: string; cell: (run: Run, place: number) => ReactNode }[] = [
    { name: t("build.preset"), cell: (run) => presetOf(t, run) },
    ...settings.map(({ section, name, values }) => ({ name: settingTitle(t, section, name), cell: (_: Run, place: number) => inWords(name, values[place]) })),
    ...metrics.map((metric) => ({
      name: t(`metric.${metric}`, { defaultValue: metric }),
      cell: (run: Run) => {
        const summary = summaryOf(run);
        const found = summary.metrics?.[metric];
        if (!found) return NOTHING;
        const format = (value: number) => formatMetric({ units: summary.units ?? {} }, metric, value);
        return (
          <>
            <strong>{format(found.value)}</strong> <span className={styles.time}>({format(found.low)}–{format(found.high)})</span>
          </>
        );
      },
    })),
    { name: t("build.difference"), cell: (run) => (run.id === first.id ? t("build.reference") : <Difference project={project} run={run} first={first} />) },
    { name: t("build.student"), cell: (run) => (summaryOf(run).student?.kind ? candidateName(t, summaryOf(run).student?.kind ?? "", summaryOf(run).student?.method) : NOTHING) },
    { name: t("report.oneAnswer"), cell: (run) => maybe(summaryOf(run).speed?.latency_ms_p50, formatMilliseconds) },
    { name: t("report.tokens"), cell: (run) => maybe(summaryOf(run).speed?.tokens_per_second, (value) => formatNumber(value, { maximumFractionDigits: 0 })) },
    { name: t("report.perSecond"), cell: (run) => maybe(summaryOf(run).speed?.texts_per_second, (value) => formatNumber(value, { maximumSignificantDigits: 3 })) },
    { name: t("report.size"), cell: (run) => maybe(summaryOf(run).speed?.size_mb, formatMegabytes) },
    { name: t("build.took"), cell: (run) => maybe(madeFrom(run).seconds, formatDuration) },
    { name: t("report.trainedIn"), cell: (run) => maybe(summaryOf(run).training?.seconds, formatSeconds) },
    { name: t("build.energy"), cell: (run) => maybe(summaryOf(run).training?.energy_wh, (value) => `${formatNumber(value, { maximumSignificantDigits: 2 })} Wh`) },
    { name: t("build.dataVersion"), cell: (run) => maybe(madeFrom(run).version, formatNumber) },
  ];
  const told = lines.filter((line) => chosen.some((run, place) => line.cell(run, place) !== NOTHING));
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
      <SharedCurves builds={chosen} name={buildName} />
      <div className={styles.wide} tabIndex={0} role="region" aria-label={t("build.compareTitle")}>
        <table className={cx(styles.past, styles.compare)}>
          <thead>
            <tr>
              <td />
              {chosen.map((run) => (
                <th key={run.id} scope="col">
                  {buildName(run)}
                  <span className={styles.when}>{formatWhen(new Date(run.queued * 1000))}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {told.map((line) => (
              <tr key={line.name}>
                <th scope="row">{line.name}</th>
                {chosen.map((run, place) => (
                  <td key={run.id} className="numbers">
                    {line.cell(run, place)}
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

/** How the loss of each build fell while it learnt, in one chart. */
function SharedCurves({ builds, name }: { builds: readonly Run[]; name: (run: Run) => string }): ReactNode {
  const { t } = useTranslation();
  const stories = useRunStories(builds.map((run) => run.id));
  const told = builds.map((run, place) => ({ label: name(run), curves: stories[place]?.curves ?? [] }));
  const found = sideBySide(told, "loss");
  if (!found) return stories.every(Boolean) ? <p className={styles.time}>{t("build.noCurves")}</p> : <Skeleton label={t("common.loading")} lines={3} />;
  const summary = found.lines.map((line) => t("build.curve", { name: line.label, value: asFigure(line.values.findLast((value) => value !== null) ?? 0) })).join(". ");
  return (
    <figure className={styles.shared}>
      <figcaption>
        <strong>{t("build.curvesTitle")}</strong>
        <span className={styles.time}>{t("build.curvesNote")}</span>
      </figcaption>
      <LineChart height={220} x={found.x} xLabel={t("build.trainingShare")} lines={found.lines} summary={summary} format={asFigure} />
    </figure>
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
