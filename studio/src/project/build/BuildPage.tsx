import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { type RunStep, useRunStory } from "../../api/events";
import { headline } from "../../api/models";
import { isUnfinished, type Run, useData, useMay, useMoveRun, useRuns, useStartRun } from "../../api/queries";
import { LineChart } from "../../charts/LineChart";
import { formatDuration, formatNumber, formatShare, formatTime } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge, Empty, Failure, ProgressBar, Skeleton, type Tone } from "../../ui/Feedback";
import { Icon } from "../../ui/icons";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import styles from "./Build.module.css";

const PRESETS = ["fast", "balanced", "best"] as const;
type Preset = (typeof PRESETS)[number];

/** Build a model: choose a preset, watch the steps, look at the builds so far. */
export function BuildPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const data = useData(project);
  const runs = useRuns(project);
  if (data.error || runs.error) return <Problem query={data.error ? data : runs} />;
  if (!data.data || !runs.data) return <Skeleton label={t("common.loading")} />;
  if (data.data.rows === data.data.unlabelled) {
    return (
      <Empty icon="data" title={t("build.noData")} actions={<ButtonLink kind="primary" to={`/projects/${project}/data`}>{t("nav.data")}</ButtonLink>}>
        {t("build.noDataTodo")}
      </Empty>
    );
  }
  const builds = runs.data.filter((run) => run.kind === "build");
  const open = builds.filter(isUnfinished);
  const past = builds.filter((run) => !isUnfinished(run));
  return (
    <>
      <PageTitle title={t("nav.build")} about={t("build.about", { rows: formatNumber(data.data.rows - data.data.unlabelled) })} />
      <NewBuild project={project} />
      <div className={styles.runs}>
        {open.map((run) => (
          <OpenRun key={run.id} project={project} run={run} />
        ))}
        {past.length > 0 && <PastBuilds project={project} runs={past} />}
      </div>
    </>
  );
}

function NewBuild({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const start = useStartRun(project);
  const may = useMay("build");
  const [preset, setPreset] = useState<Preset>("balanced");
  return (
    <Card title={t("build.new")}>
      <div className={styles.presets} role="radiogroup" aria-label={t("build.preset")}>
        {PRESETS.map((name) => (
          <label key={name} className={styles.preset}>
            <input type="radio" name="preset" checked={name === preset} onChange={() => setPreset(name)} />
            <strong>{t(`build.${name}.title`)}</strong>
            <span>{t(`build.${name}.about`)}</span>
          </label>
        ))}
      </div>
      <Problem query={{ error: start.error }} />
      <Button kind="primary" icon="build" disabled={!may} busy={start.isPending} onClick={() => start.mutate({ kind: "build", request: { recipe: { student: { quality: preset } } } })}>
        {t("build.start")}
      </Button>
    </Card>
  );
}

function OpenRun({ project, run }: { project: string; run: Run }): ReactNode {
  const { t } = useTranslation();
  const story = useRunStory(run.id);
  const move = useMoveRun(project);
  const step = story.steps.at(-1);
  const share = step?.total ? Math.min(1, step.done / step.total) : null;
  return (
    <Card
      title={run.state === "queued" ? t("build.queued") : t("build.running")}
      note={run.started && t("build.since", { when: formatTime(new Date(run.started * 1000).toISOString()) })}
      actions={
        <Button small icon="stop" busy={run.state === "stopping"} onClick={() => move.mutate({ run: run.id, move: "stop" })}>
          {t("build.stop")}
        </Button>
      }
    >
      <Problem query={{ error: move.error }} />
      <ProgressBar share={share} label={step?.name ?? t("build.queued")} />
      <Steps steps={story.steps} />
      <div className={styles.curves}>
        {story.curves
          .filter((curve) => curve.points.length > 2)
          .map((curve) => (
            <figure key={`${curve.step}-${curve.name}`}>
              <figcaption>
                {curve.step}: {curve.name}
              </figcaption>
              <LineChart
                x={curve.points.map((point) => point.at)}
                xLabel={t("build.units")}
                lines={[{ label: curve.name, values: curve.points.map((point) => point.value) }]}
                summary={t("build.curve", { name: curve.name, value: formatNumber(curve.points.at(-1)?.value ?? 0, { maximumSignificantDigits: 3 }) })}
                format={asFigure}
              />
            </figure>
          ))}
      </div>
    </Card>
  );
}

function asFigure(value: number): string {
  return formatNumber(value, { maximumSignificantDigits: 3 });
}

function Steps({ steps }: { steps: readonly RunStep[] }): ReactNode {
  return (
    <ol className={styles.steps}>
      {steps.map((step, place) => (
        <li key={place} className={cx(step.ended === null && styles.now)}>
          <Icon name={step.ended === null ? "clock" : "check"} size={16} />
          <span>{step.name}</span>
          <span className={styles.time}>{step.ended !== null && formatDuration(step.ended - step.began)}</span>
          {step.note && <p>{step.note}</p>}
        </li>
      ))}
    </ol>
  );
}

const TONES: Partial<Record<Run["state"], Tone>> = { done: "good", failed: "bad", stopped: "warn" };

function told(error: NonNullable<Run["error"]>): { message: string; todo?: string } {
  const { message, todo } = error;
  return { message: String(message), ...(typeof todo === "string" ? { todo } : {}) };
}

function PastBuilds({ project, runs }: { project: string; runs: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const move = useMoveRun(project);
  return (
    <Card title={t("build.past")}>
      <Problem query={{ error: move.error }} />
      <div className={styles.wide}>
        <table className={styles.past}>
          <thead>
            <tr>
              {["when", "state", "quality", "took", "dataVersion"].map((name) => (
                <th key={name} scope="col">
                  {t(`build.${name}`)}
                </th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>
            {runs.map((run) => {
              const metric = headline(run);
              return (
                <tr key={run.id}>
                  <td>{formatTime(new Date(run.queued * 1000).toISOString())}</td>
                  <td>
                    <Badge tone={TONES[run.state] ?? "plain"}>{t(`state.${run.state}`)}</Badge>
                    {run.error && <Failure error={told(run.error)} />}
                  </td>
                  <td className="numbers">{metric?.value === undefined ? "" : `${formatShare(metric.value, 1)} (${formatShare(metric.low ?? 0, 1)}–${formatShare(metric.high ?? 1, 1)})`}</td>
                  <td className="numbers">{run.started && run.ended ? formatDuration(run.ended - run.started) : ""}</td>
                  <td className="numbers">{run.result ? String(run.result["version"]) : ""}</td>
                  <td>
                    {run.state === "done" ? (
                      <ButtonLink small to={`/projects/${project}/report?run=${run.id}`}>
                        {t("nav.report")}
                      </ButtonLink>
                    ) : (
                      <Button small onClick={() => move.mutate({ run: run.id, move: "resume" })}>
                        {t("build.resume")}
                      </Button>
                    )}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
