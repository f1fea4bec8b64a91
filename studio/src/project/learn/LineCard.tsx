import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { useRunStory } from "../../api/events";
import { useModels } from "../../api/models";
import { isUnfinished, type Run, useMay, useMoveRun, useRuns, useStartRun } from "../../api/queries";
import { formatNumber, formatShare, formatTime } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge, Empty, Notice, ProgressBar, Skeleton } from "../../ui/Feedback";
import { Select, Switch, TextField } from "../../ui/Field";
import { Icon, type IconName } from "../../ui/icons";
import { LeftOut } from "../../ui/LeftOut";
import { useModelName } from "../../ui/ModelPicker";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { RunFailure } from "../../ui/RunFailure";
import { stepName } from "../build/runs";
import { formatMetric, isGrade } from "../report/wording";
import { LINE } from "../run/draft";
import { useServing } from "../run/queries";
import styles from "./Learn.module.css";
import { type Line, useLine, useRollBack } from "./queries";
import { type Contest, type Outcome, verdictOf } from "./verdict";

const SIGNS: Record<string, IconName> = { learn: "learn", rollback: "undo", hand: "plus" };
const SHORT = 7;
/** The server's words for answers that the model cannot give. */
const UNKNOWN_VALUE = "the answer is none of the task's";

/** What a run `learn` found out. */
interface Learnt extends Outcome {
  why: string;
  contest: (Contest & { n: number; champion: number | null; challenger: number | null; gained: number; lost: number }) | null;
  rows: { learning: number; choosing: number; certifying: number; unusable: Record<string, number> };
}

/** The line of versions: let the model learn, see the new version beside the one that serves, and go back. */
export function LineCard({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const models = useModels(project);
  const last = useRuns(project).data?.find((run) => run.kind === "learn");
  const line = useLine(project, last?.ended);
  const serving = useServing(project).data;
  const runs = serving !== undefined && serving.state !== "stopped" && serving.state !== "failed";
  const elsewhere = runs && serving.settings.model !== LINE;
  const atWork = runs && !elsewhere;
  if (line.data === null && models?.length === 0) {
    return (
      <Card title={t("learn.line")} note={t("learn.lineAbout")}>
        <Empty icon="build" title={t("common.noModel")} actions={<ButtonLink kind="primary" to={`/projects/${project}/build`}>{t("nav.build")}</ButtonLink>}>
          {t("learn.noModel")}
        </Empty>
      </Card>
    );
  }
  return (
    <Card title={t("learn.line")} note={t("learn.lineAbout")}>
      <Problem query={line} />
      {line.data === undefined && !line.error && <Skeleton label={t("common.loading")} lines={3} />}
      {line.data !== undefined && (
        <div className={styles.line}>
          {line.data && <Standing line={line.data} project={project} atWork={atWork} />}
          {line.data && elsewhere && <Notice tone="warn">{t("learn.notAtWork")}</Notice>}
          {last && isUnfinished(last) ? <Learning project={project} run={last} /> : <Start project={project} line={line.data} models={models ?? []} />}
          <RunFailure run={last} title={t("learn.failed")} />
          {last?.state === "done" && <LastLearning found={last.result as unknown as Learnt} run={last} graded={line.data?.versions.some((version) => version.quality && isGrade(version.quality.name)) ?? false} />}
          {line.data && <Timeline project={project} line={line.data} atWork={atWork} />}
        </div>
      )}
    </Card>
  );
}

/** A version's headline figure, or an end of its interval. */
function formatQuality(quality: NonNullable<Line["versions"][number]["quality"]>, which: "value" | "low" | "high" = "value"): string {
  return formatMetric({}, quality.name, quality[which]);
}

function Standing({ line, project, atWork }: { line: Line; project: string; atWork: boolean }): ReactNode {
  const { t } = useTranslation();
  const champion = line.versions.find((version) => version.id === line.champion);
  return (
    <div className={styles.standing}>
      <div>
        <span className={styles.soft}>{t(atWork ? "learn.champion" : "learn.chosen")}</span>
        <strong>{champion?.quality ? formatQuality(champion.quality) : t("learn.version", { name: line.champion?.slice(0, SHORT) ?? "" })}</strong>
        <small>{champion?.quality ? t("learn.qualityOf", { metric: t(`metric.${champion.quality.name}`, { defaultValue: champion.quality.name }), low: formatQuality(champion.quality, "low"), high: formatQuality(champion.quality, "high") }) : t("learn.versionAbout")}</small>
      </div>
      <div>
        <span className={styles.soft}>{t("learn.newAnswers")}</span>
        <strong>{formatNumber(line.waiting)}</strong>
        <small>{t("learn.newAnswersAbout")}</small>
      </div>
      <ButtonLink small icon="run" to={`/projects/${project}/run`}>
        {t("learn.toRun")}
      </ButtonLink>
    </div>
  );
}

function Start({ project, line, models }: { project: string; line: Line | null; models: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const start = useStartRun(project);
  const modelName = useModelName(project);
  const [model, setModel] = useState("");
  const [uncertified, setUncertified] = useState(false);
  return (
    <div className={styles.start}>
      {line === null && <Notice tone="accent">{t("learn.begin")}</Notice>}
      {line === null && models.length > 1 && (
        <Select label={t("learn.beginWith")} value={model || (models[0]?.id ?? "")} options={models.map((run) => ({ value: run.id, label: modelName(run) }))} onChange={(event) => setModel(event.target.value)} />
      )}
      <Switch label={t("learn.uncertified")} checked={uncertified} onChange={(event) => setUncertified(event.target.checked)} />
      <Problem query={{ error: start.error }} />
      <div className={styles.foot}>
        <Button kind="primary" icon="learn" busy={start.isPending} disabled={!may} onClick={() => start.mutate({ kind: "learn", request: { uncertified, ...(line === null && model ? { model } : {}) } })}>
          {line === null ? t("learn.startLine") : t("learn.now")}
        </Button>
        {!may && <span className={styles.soft}>{t("learn.mayNot")}</span>}
      </div>
    </div>
  );
}

function Learning({ project, run }: { project: string; run: Run }): ReactNode {
  const { t } = useTranslation();
  const story = useRunStory(run.id);
  const move = useMoveRun(project);
  const step = story.steps.at(-1);
  return (
    <div className={styles.start}>
      <p>{run.state === "queued" ? t("learn.queued") : t("learn.learning", { step: stepName(t, step?.name ?? "") })}</p>
      <ProgressBar share={step?.total ? Math.min(1, step.done / step.total) : null} label={t("learn.learning", { step: stepName(t, step?.name ?? "") })} />
      <div>
        <Button small icon="stop" busy={run.state === "stopping"} onClick={() => move.mutate({ run: run.id, move: "stop" })}>
          {t("build.stop")}
        </Button>
      </div>
    </div>
  );
}

function LastLearning({ found, run, graded }: { found: Learnt; run: Run; graded: boolean }): ReactNode {
  const { t } = useTranslation();
  const { contest, certificate } = found;
  return (
    <section className={styles.outcome} aria-label={t("learn.lastTime")}>
      <header>
        <h3>{t("learn.lastTime")}</h3>
        <Badge tone={found.outcome === "promoted" ? "good" : "plain"}>{t(`learn.${found.outcome}`)}</Badge>
        <time className={styles.soft}>{run.ended ? formatTime(new Date(run.ended * 1000).toISOString()) : ""}</time>
      </header>
      {contest !== null && contest.champion !== null && contest.challenger !== null && (
        <>
          <div className={styles.duel}>
            {(["champion", "challenger"] as const).map((name) => (
              <div key={name}>
                <span>{t(name === "champion" ? "learn.before" : "learn.challenger")}</span>
                <div className={styles.track} aria-hidden="true">
                  <div className={cx(styles.fill, name === "challenger" && styles.new)} style={{ width: `${(contest[name] ?? 0) * 100}%` }} />
                </div>
                <strong className="numbers">{graded ? formatNumber(contest[name] ?? 0, { minimumFractionDigits: 2, maximumFractionDigits: 2 }) : formatShare(contest[name] ?? 0, 1)}</strong>
              </div>
            ))}
          </div>
          <p className={styles.soft}>{t(graded ? "learn.duelGraded" : "learn.duel", { n: formatNumber(contest.n), gained: formatNumber(contest.gained), lost: formatNumber(contest.lost) })}</p>
        </>
      )}
      <dl className={styles.reasons}>
        <div>
          <dt>{t("learn.reason")}</dt>
          <dd>
            {t(`learn.verdict.${verdictOf(found)}`)}
            <details className={styles.exact}>
              <summary>{t("learn.exact")}</summary>
              {sentence(told(found.why))}
            </details>
          </dd>
        </div>
        {certificate?.certified && (
          <div>
            <dt>{t("run.certificate")}</dt>
            <dd>{t("learn.certified")}</dd>
          </div>
        )}
        <div>
          <dt>{t("learn.learntFrom")}</dt>
          <dd className={styles.rows}>
            {t("learn.rows", { learning: formatNumber(found.rows.learning), held: formatNumber(found.rows.choosing + found.rows.certifying) })}
            <LeftOut reasons={found.rows.unusable} />
            {UNKNOWN_VALUE in found.rows.unusable && <p className={styles.soft}>{t("learn.newValues")}</p>}
          </dd>
        </div>
      </dl>
    </section>
  );
}

/** The server's reason as a sentence: it comes without a full stop, unless it ends in what to do. */
function sentence(why: string): string {
  return `${why.charAt(0).toUpperCase()}${why.slice(1).replace(/\.+$/, "")}.`;
}

function Timeline({ project, line, atWork }: { project: string; line: Line; atWork: boolean }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("serve");
  const back = useRollBack(project);
  const [wanted, setWanted] = useState<string | null>(null);
  const [reason, setReason] = useState("");
  const there = new Map(line.versions.map((version) => [version.id, version]));
  const offered = new Set<string>();
  return (
    <section aria-label={t("learn.history")} className={styles.history}>
      <h3>{t("learn.history")}</h3>
      <ol>
        {line.history.map((turn, place) => {
          const quality = there.get(turn.champion)?.quality;
          const offer = turn.champion !== line.champion && there.has(turn.champion) && !offered.has(turn.champion);
          if (offer) offered.add(turn.champion);
          return (
            <li key={`${turn.time}-${turn.champion}`} className={cx(place === 0 && styles.now)}>
              <span className={styles.mark}>
                <Icon name={SIGNS[turn.by] ?? "learn"} size={14} />
              </span>
              <div>
                <p>
                  <strong>{t(`learn.turn.${turn.by}`)}</strong> <code>{turn.champion.slice(0, SHORT)}</code>
                  {quality && <span className="numbers"> · {formatQuality(quality)}</span>}
                </p>
                {turn.by === "rollback" && <p className={styles.soft}>{turn.why}</p>}
                {turn.by === "learn" && (
                  <details className={styles.exact}>
                    <summary>{t("learn.reason")}</summary>
                    {sentence(told(turn.why))}
                  </details>
                )}
                <time className={styles.soft}>{formatTime(new Date(turn.time * 1000).toISOString())}</time>
              </div>
              {place === 0 ? (
                <Badge tone="good">{t(atWork ? "learn.serving" : "learn.isChosen")}</Badge>
              ) : (
                offer && (
                  <Button small icon="undo" disabled={!may} title={may ? undefined : t("run.notAllowed")} onClick={() => setWanted(turn.champion)}>
                    {t("learn.goBack")}
                  </Button>
                )
              )}
            </li>
          );
        })}
      </ol>
      <Dialog
        open={wanted !== null}
        onClose={() => setWanted(null)}
        title={t("learn.goBackTitle")}
        about={t("learn.goBackAbout")}
        foot={
          <>
            <Button onClick={() => setWanted(null)}>{t("common.cancel")}</Button>
            <Button kind="primary" busy={back.isPending} onClick={() => wanted !== null && back.mutate({ version: wanted, reason }, { onSuccess: () => setWanted(null) })}>
              {t("learn.goBack")}
            </Button>
          </>
        }
      >
        <TextField label={t("run.reason")} maxLength={1000} value={reason} onChange={(event) => setReason(event.target.value)} />
        <Problem query={{ error: back.error }} />
      </Dialog>
    </section>
  );
}
