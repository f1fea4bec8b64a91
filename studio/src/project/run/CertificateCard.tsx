import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import type { ErrorParts } from "../../api/client";
import { isGraded } from "../../api/models";
import { isUnfinished, type Run, useMay, useRuns, useStartRun } from "../../api/queries";
import { useRunStory } from "../../api/events";
import { formatNumber, formatShare, formatTime } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { inWords } from "../../ui/failure";
import { Badge, Failure, Notice, ProgressBar, Skeleton, type Tone } from "../../ui/Feedback";
import { Select, TextField } from "../../ui/Field";
import { useModelName } from "../../ui/ModelPicker";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { RunFailure } from "../../ui/RunFailure";
import { LINE } from "./draft";
import { type Certificate, useCertificate, useRevokeCertificate } from "./queries";
import styles from "./Run.module.css";

const ALPHAS = [0.01, 0.02, 0.05, 0.1] as const;
/** Of texts: what may be missing to a likeness of 1, on average. */
const GRADED_ALPHAS = [0.3, 0.4, 0.5, 0.6, 0.7];
const DELTAS = [0.01, 0.05, 0.1] as const;

/** What a reader needs of a certificate's file. */
interface Paper {
  alpha: number;
  delta: number;
  valid_until: string;
  counts?: string;
  reference: { kind: string; model?: string };
  calibration: { n: number };
  answering: readonly { answered: number; n: number; loss: number; bound: number; segment: string }[];
  audit_days?: number;
}

/** What audits found, as far as a reader reviews it. */
interface Audits {
  audits: number;
  losses: number;
  suspended: readonly string[];
  line: { versions: number; audits: number; losses: number } | null;
  against: readonly { at: number; client: string; loss: number | null; asked: string; answered: string; reference: string }[];
}

const MOST_SHOWN = 5;

interface Outcome {
  certified: boolean;
  why: string;
  error?: ErrorParts;
}

/** The certificate in plain words: what may be said of the model's answers, or what is missing before anything may be said. */
export function CertificateCard({ project, model: served, models }: { project: string; model: string; models: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const modelName = useModelName(project);
  const named = search.get("run");
  const model = named === LINE || models.some((run) => run.id === named) ? (named ?? served) : served;
  const options = models.map((run) => ({ value: run.id, label: modelName(run) }));
  if (served === LINE) options.unshift({ value: LINE, label: t("run.lineChampion") });
  if (!model) return null;
  return (
    <Card
      title={t("run.certificate")}
      note={t(isGraded(models[0]) ? "run.certificateGradedAbout" : "run.certificateAbout")}
      actions={
        options.length > 1 && (
          <div className={styles.pick}>
            <Select label={t("common.model")} value={model} options={options} onChange={(event) => setSearch((before) => new URLSearchParams({ ...Object.fromEntries(before), run: event.target.value }), { replace: true })} />
          </div>
        )
      }
    >
      <ModelCertificate key={model} project={project} model={model} graded={isGraded(models.find((run) => run.id === model) ?? models[0])} />
    </Card>
  );
}

function ModelCertificate({ project, model, graded }: { project: string; model: string; graded: boolean }): ReactNode {
  const { t } = useTranslation();
  const [alpha, setAlpha] = useState(graded ? 0.5 : 0.05);
  const [delta, setDelta] = useState(0.05);
  const last = useRuns(project).data?.find((run) => run.kind === "certify" && run.request["model"] === model);
  const found = useCertificate(project, model, alpha, delta, last?.ended ?? null);
  if (found.error) return <Problem query={found} />;
  if (!found.data) return <Skeleton label={t("common.loading")} lines={3} />;
  const paper = found.data.certificate as unknown as Paper | null;
  return (
    <div className={styles.certificate}>
      {paper === null ? <p className={styles.promise}>{t("run.noCertificate")}</p> : <Promise project={project} model={model} graded={graded} standing={found.data} paper={paper} />}
      <Issue project={project} model={model} graded={graded} standing={found.data} again={found.data.valid} last={last} alpha={alpha} delta={delta} onAlpha={setAlpha} onDelta={setDelta} />
    </div>
  );
}

function Promise({ project, model, graded, standing, paper }: { project: string; model: string; graded: boolean; standing: Certificate; paper: Paper }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("serve");
  const [ending, setEnding] = useState(false);
  const sum = (pick: (entry: Paper["answering"][number]) => number) => paper.answering.reduce((total, entry) => total + pick(entry), 0);
  const answered = sum((entry) => entry.answered);
  const numbers = {
    likeness: formatNumber(1 - paper.alpha, { maximumFractionDigits: 2 }),
    reached: formatNumber(answered > 0 ? 1 - sum((entry) => entry.loss) / answered : 0, { maximumFractionDigits: 2 }),
    alpha: formatShare(paper.alpha, paper.alpha < 0.01 ? 1 : 0),
    sure: formatShare(1 - paper.delta),
    n: formatNumber(paper.calibration.n),
    answered: formatNumber(answered),
    share: formatShare(answered / paper.calibration.n),
    wrong: formatNumber(sum((entry) => entry.loss), { maximumFractionDigits: 1 }),
    until: formatTime(paper.valid_until),
  };
  const tone: Tone = standing.valid ? "good" : "bad";
  const audits = standing.audits as unknown as Audits | null;
  return (
    <>
      <Badge tone={tone} icon={standing.valid ? "check" : "warning"}>
        {t(`run.paper.${standing.valid ? "valid" : "invalid"}`)}
      </Badge>
      {!standing.valid && <Notice tone="warn">{t(`run.paperState.${standing.state.replaceAll(" ", "_")}`)}</Notice>}
      <p className={styles.promise}>{t(graded ? "run.promiseGraded" : "run.promise", numbers)}</p>
      <ul className={styles.terms}>
        <li>{t(graded ? "run.testedGraded" : "run.tested", numbers)}</li>
        <li>{t("run.like")}</li>
        <li>{standing.valid ? t("run.until_", numbers) : t("run.wasUntil", numbers)}</li>
        {audits !== null && <li>{audits.audits > 0 ? t("run.audited", { audits: formatNumber(audits.audits), losses: formatNumber(audits.losses, { maximumFractionDigits: 1 }) }) : t("run.notAudited")}</li>}
        {audits?.line && audits.line.versions > 1 && <li>{t("run.lineAudited", { versions: formatNumber(audits.line.versions), audits: formatNumber(audits.line.audits), losses: formatNumber(audits.line.losses, { maximumFractionDigits: 1 }) })}</li>}
        {audits !== null && audits.suspended.length > 0 && <li>{t("run.suspended", { count: audits.suspended.length })}</li>}
      </ul>
      {audits !== null && audits.against.length > 0 && <Against found={audits.against} />}
      {may && standing.valid && (
        <div>
          <Button small kind="quiet" onClick={() => setEnding(true)}>
            {t("run.revokePaper")}
          </Button>
        </div>
      )}
      {ending && <Revoke project={project} model={model} onClose={() => setEnding(false)} />}
    </>
  );
}

function Against({ found }: { found: Audits["against"] }): ReactNode {
  const { t } = useTranslation();
  const latest = found.slice(-MOST_SHOWN).reverse();
  return (
    <details>
      <summary>{t("run.against")}</summary>
      <ul className={styles.terms}>
        {latest.map((one, at) => (
          <li key={`${one.at} ${at}`}>
            {formatTime(new Date(one.at * 1000).toISOString())}, {t("run.againstClient")} {one.client.slice(0, 8) || "–"}
            {one.asked !== "" && `; ${t("run.againstAsked")}: ${one.asked}; ${t("run.againstHere")}: ${one.answered}; ${t("run.againstReference")}: ${one.reference || "–"}`}
          </li>
        ))}
      </ul>
      {latest.every((one) => one.asked === "") && <p className={styles.soft}>{t("run.againstNoTexts")}</p>}
    </details>
  );
}

function Revoke({ project, model, onClose }: { project: string; model: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const revoke = useRevokeCertificate(project, model);
  const [reason, setReason] = useState("");
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("run.revokePaper")}
      about={t("run.revokePaperAbout")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="danger" busy={revoke.isPending} disabled={reason.trim() === ""} onClick={() => revoke.mutate(reason.trim(), { onSuccess: onClose })}>
            {t("run.revoke")}
          </Button>
        </>
      }
    >
      <TextField label={t("run.reason")} placeholder={t("run.reasonExample")} maxLength={1000} value={reason} onChange={(event) => setReason(event.target.value)} />
      <Problem query={{ error: revoke.error }} />
    </Dialog>
  );
}

interface IssueProps {
  project: string;
  model: string;
  graded: boolean;
  standing: Certificate;
  again: boolean;
  last: Run | undefined;
  alpha: number;
  delta: number;
  onAlpha: (alpha: number) => void;
  onDelta: (delta: number) => void;
}

function Issue({ project, model, graded, standing, again, last, alpha, delta, onAlpha, onDelta }: IssueProps): ReactNode {
  const { t } = useTranslation();
  const may = useMay("serve");
  const start = useStartRun(project);
  const going = last !== undefined && isUnfinished(last);
  const outcome = last?.state === "done" ? (last.result as unknown as Outcome | null) : null;
  const own = model === LINE;
  const few = !own && standing.rows < standing.fewest;
  return (
    <section className={styles.issue} aria-label={again ? t("run.issueAgain") : t("run.issue")}>
      {!going && outcome?.certified === false && <NotIssued outcome={outcome} />}
      <RunFailure run={last} title={t("run.notIssued")} />
      {going && <Testing run={last} />}
      {!going && (
        <>
          <h3>{again ? t("run.issueAgain") : t("run.issue")}</h3>
          <div className={styles.fields}>
            <Select label={t(graded ? "run.alphaGraded" : "run.alpha")} value={String(alpha)} options={(graded ? GRADED_ALPHAS : ALPHAS).map((value) => ({ value: String(value), label: graded ? formatNumber(1 - value, { maximumFractionDigits: 2 }) : formatShare(value) }))} onChange={(event) => onAlpha(Number(event.target.value))} />
            <Select label={t("run.delta")} value={String(delta)} options={DELTAS.map((value) => ({ value: String(value), label: formatShare(1 - value) }))} onChange={(event) => onDelta(Number(event.target.value))} />
          </div>
          <p className={styles.soft}>{own ? t("run.ownRows") : t("run.rowsToTest", { rows: formatNumber(standing.rows), fewest: formatNumber(standing.fewest) })}</p>
          {standing.chance !== null && standing.share !== null && <p className={styles.soft}>{t(standing.share > 0 ? "run.chanceAndShare" : "run.chance", { chance: formatShare(standing.chance), share: formatShare(standing.share) })}</p>}
          {few && (
            <Notice action={<ButtonLink small to={`/projects/${project}/data`}>{t("run.addRows")}</ButtonLink>}>{t("run.fewRows", { missing: formatNumber(standing.fewest - standing.rows) })}</Notice>
          )}
          <Problem query={{ error: start.error }} />
          <div className={styles.go}>
            <Button icon="check" busy={start.isPending} disabled={!may || few} title={may ? undefined : t("run.notAllowed")} onClick={() => start.mutate({ kind: "certify", request: { model, alpha, delta } })}>
              {t("run.test")}
            </Button>
            {!may && <span className={styles.soft}>{t("run.notAllowed")}</span>}
          </div>
        </>
      )}
    </section>
  );
}

function NotIssued({ outcome }: { outcome: Outcome }): ReactNode {
  const { t } = useTranslation();
  const error = inWords(t, outcome.error ?? { message: outcome.why });
  return <Failure error={{ ...error, message: t("run.notIssued"), todo: [error.message, error.todo].filter(Boolean).join(" ") }} />;
}

function Testing({ run }: { run: Run }): ReactNode {
  const { t } = useTranslation();
  const story = useRunStory(run.id);
  const step = story.steps.at(-1);
  return (
    <>
      <p>{run.state === "queued" ? t("run.testQueued") : t("run.testing")}</p>
      <ProgressBar share={step?.total ? Math.min(1, step.done / step.total) : null} label={t("run.testing")} />
    </>
  );
}
