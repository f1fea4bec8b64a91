import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { type RunCurve, type RunStep, type RunStory, secondsLeft, useRunStory } from "../../api/events";
import { type Run, useMay, useMoveRun } from "../../api/queries";
import { LineChart } from "../../charts/LineChart";
import { formatDuration, formatNumber, memberTitle } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge, ProgressBar } from "../../ui/Feedback";
import { Icon } from "../../ui/icons";
import { Problem } from "../../ui/Problem";
import styles from "./Build.module.css";
import { stepName } from "./runs";

function useNow(): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now() / 1000), 1_000);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}

/** A build that waits or goes on. */
export function OpenRun({ project, run }: { project: string; run: Run }): ReactNode {
  const { t } = useTranslation();
  const story = useRunStory(run.id);
  const move = useMoveRun(project);
  const may = useMay("build");
  const now = useNow();
  const step = story.steps.at(-1);
  const waits = run.state === "queued";
  const stop = (
    <Button small icon="stop" disabled={!may} busy={run.state === "stopping"} onClick={() => move.mutate({ run: run.id, move: "stop" })}>
      {waits ? t("build.cancel") : t("build.stop")}
    </Button>
  );
  if (waits) {
    return (
      <Card title={t("build.queued")} note={run.ahead ? t("build.ahead", { count: run.ahead }) : t("build.next")} actions={stop}>
        <Problem query={{ error: move.error }} />
      </Card>
    );
  }
  const left = step ? secondsLeft(step, now) : null;
  const facts = step ? Object.entries(step.facts) : [];
  return (
    <Card title={run.state === "stopping" ? t("build.stopping") : t("build.running")} note={run.started && t("build.for", { time: formatDuration(now - run.started) })} actions={stop}>
      <div className={styles.story}>
        <Problem query={{ error: move.error }} />
        {step && (
          <div className={styles.now}>
            <p>
              <strong>{t("build.step", { number: story.steps.length, name: stepName(t, step.name) })}</strong>
              {step.member && <Badge tone="accent">{step.part ? t("build.part", { name: memberTitle(step.member), ...step.part }) : memberTitle(step.member)}</Badge>}
              {left !== null && <span className={styles.time}>{t("build.left", { time: formatDuration(left) })}</span>}
            </p>
            <ProgressBar share={step.total && step.done > 0 && step.ended === null ? Math.min(1, step.done / step.total) : null} label={stepName(t, step.name)} />
            {facts.length > 0 && (
              <p className={styles.time}>
                {facts.map(([name, value]) => `${t(`build.fact.${name}`, { defaultValue: name })}: ${told(value)}`).join(" · ")}
              </p>
            )}
          </div>
        )}
        {!step && <ProgressBar share={null} label={t("build.running")} />}
        <Curves curves={story.steps.some((one) => one.member) ? story.curves.filter((curve) => curve.step === step?.name) : story.curves} />
        <Steps steps={story.steps} />
      </div>
    </Card>
  );
}

/** A figure of a curve, short. */
export function asFigure(value: number): string {
  return formatNumber(value, { maximumSignificantDigits: 3 });
}

/** The curves of figures that were told while training went on. */
export function Curves({ curves, height = 180 }: { curves: readonly RunCurve[]; height?: number }): ReactNode {
  const { t } = useTranslation();
  const drawn = curves.filter((curve) => curve.points.length > 2);
  if (drawn.length === 0) return null;
  return (
    <div className={styles.curves}>
      {drawn.map((curve) => (
        <figure key={`${curve.step}-${curve.name}`}>
          <figcaption title={curve.name === "loss" ? t("build.lossHelp") : undefined}>
            {stepName(t, curve.step)}: {t(`build.fact.${curve.name}`, { defaultValue: curve.name })}
          </figcaption>
          <LineChart
            height={height}
            x={curve.points.map((point) => point.at)}
            xLabel={t("build.units")}
            lines={[{ label: t(`build.fact.${curve.name}`, { defaultValue: curve.name }), values: curve.points.map((point) => point.value) }]}
            summary={t("build.curve", { name: t(`build.fact.${curve.name}`, { defaultValue: curve.name }), value: asFigure(curve.points.at(-1)?.value ?? 0) })}
            format={asFigure}
          />
        </figure>
      ))}
    </div>
  );
}

const FEW_STEPS = 6;

/** The steps so far, the newest last; of many, the first are behind a button. */
export function Steps({ steps, hideNote }: { steps: readonly RunStep[]; hideNote?: string | undefined }): ReactNode {
  const { t } = useTranslation();
  const [all, setAll] = useState(false);
  const from = all ? 0 : Math.max(0, steps.length - FEW_STEPS);
  return (
    <>
      {from > 0 && (
        <div>
          <Button small kind="quiet" onClick={() => setAll(true)}>
            {t("build.earlier", { count: from })}
          </Button>
        </div>
      )}
      <ol className={styles.steps}>
        {steps.slice(from).map((step, place) => (
          <li key={from + place} className={cx(step.ended === null && styles.going)}>
            <Icon name={step.ended === null ? "clock" : "check"} size={16} />
            <span>
              {stepName(t, step.name)}
              {step.member && <span className={styles.time}> · {memberTitle(step.member)}</span>}
            </span>
            <span className={styles.time}>{step.ended !== null && formatDuration(step.ended - step.began)}</span>
            {step.note && step.note !== hideNote && <p>{told(step.note)}</p>}
          </li>
        ))}
      </ol>
    </>
  );
}

/** What a run decided and noticed on its way. */
export function Remarks({ story }: { story: RunStory }): ReactNode {
  const { t } = useTranslation();
  if (story.remarks.length === 0) return null;
  return (
    <div>
      <h3>{t("build.remarks")}</h3>
      <ul className={styles.remarks}>
        {story.remarks.map((remark, place) => (
          <li key={place}>{told(remark)}</li>
        ))}
      </ul>
    </div>
  );
}
