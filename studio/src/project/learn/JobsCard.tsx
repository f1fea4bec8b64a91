import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";

import { isUnfinished, useMay, useRuns, useStartRun } from "../../api/queries";
import { formatMoney, formatNumber, formatShare, formatTime } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Empty } from "../../ui/Feedback";
import { TextField } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { RunFailure } from "../../ui/RunFailure";
import styles from "./Learn.module.css";
import { useBuildJob } from "./queries";

const MOST_LABELS = 6;

/** A recurring job, as a run `jobs` found it. */
interface Job {
  id: string;
  task: string | null;
  why: string;
  examples: readonly string[];
  tally: { requests: number; distinct: number; asked: Record<string, number> };
  answers: { kind: string; labels: Record<string, number> };
  month: { requests: number; cost_usd: number } | null;
  forecast: { share: number | null; why: string } | null;
}

/** Jobs that come again and again in the captured requests, each of which can become a model of its own. */
export function JobsCard({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const start = useStartRun(project);
  const runs = useRuns(project).data?.filter((run) => run.kind === "jobs") ?? [];
  const last = runs[0];
  const going = start.isPending || (last !== undefined && isUnfinished(last));
  const done = runs.find((run) => run.state === "done");
  const jobs = (done?.result?.["jobs"] as readonly Job[] | undefined) ?? [];
  return (
    <Card
      title={t("learn.jobs")}
      note={done?.ended ? t("learn.jobsAt", { when: formatTime(new Date(done.ended * 1000).toISOString()) }) : t("learn.jobsAbout")}
      actions={
        <Button small icon="search" busy={going} disabled={!may} title={may ? undefined : t("learn.mayNot")} onClick={() => start.mutate({ kind: "jobs", request: {} })}>
          {t("learn.findJobs")}
        </Button>
      }
    >
      <Problem query={{ error: start.error }} />
      <RunFailure run={last} title={t("learn.noJobs")} />
      {done && jobs.length === 0 && (
        <Empty icon="search" title={t("learn.noJobs")}>
          {t("learn.noJobsAbout")}
        </Empty>
      )}
      {jobs.length > 0 && (
        <ul className={styles.jobs}>
          {jobs.map((job) => (
            <OneJob key={job.id} project={project} job={job} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function OneJob({ project, job }: { project: string; job: Job }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const [building, setBuilding] = useState(false);
  const labels = Object.keys(job.answers.labels);
  const share = job.forecast?.share ?? null;
  return (
    <li className={styles.job}>
      <header>
        <h3>{job.task === null ? t("learn.notForSmall") : t(`goal.${job.task}.title`, { defaultValue: job.task })}</h3>
        <span className={styles.soft}>{t("learn.jobCounts", { requests: formatNumber(job.tally.requests), distinct: formatNumber(job.tally.distinct) })}</span>
      </header>
      <ul className={styles.examples}>
        {job.examples.map((example) => (
          <li key={example}>{example}</li>
        ))}
      </ul>
      {labels.length > 0 && (
        <div className={styles.labels}>
          {labels.slice(0, MOST_LABELS).map((label) => (
            <Badge key={label}>{label}</Badge>
          ))}
          {labels.length > MOST_LABELS && <span className={styles.soft}>{t("learn.moreLabels", { count: labels.length - MOST_LABELS, more: formatNumber(labels.length - MOST_LABELS) })}</span>}
        </div>
      )}
      <p className={styles.soft}>
        {job.month ? t("learn.month", { requests: formatNumber(job.month.requests, { maximumFractionDigits: 0 }), cost: formatMoney(job.month.cost_usd) }) : t("learn.monthUnknown")}
        {share !== null && ` ${t("learn.forecast", { share: formatShare(share) })}`}
      </p>
      {job.task === null ? (
        <p className={styles.soft}>{told(job.why)}</p>
      ) : (
        <div>
          <Button small kind="primary" icon="build" disabled={!may} title={may ? undefined : t("learn.mayNot")} onClick={() => setBuilding(true)}>
            {t("learn.buildThis")}
          </Button>
        </div>
      )}
      {building && <BuildJob project={project} job={job} onClose={() => setBuilding(false)} />}
    </li>
  );
}

function BuildJob({ project, job, onClose }: { project: string; job: Job; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const go = useNavigate();
  const build = useBuildJob(project);
  const [name, setName] = useState(Object.keys(job.answers.labels).slice(0, 2).join(", "));
  return (
    <Dialog open onClose={onClose} title={t("learn.buildThis")} about={t("learn.buildAbout")}>
      <form
        className={styles.start}
        onSubmit={(event) => {
          event.preventDefault();
          build.mutate({ job: job.id, name: name.trim() }, { onSuccess: (made) => void go(`/projects/${made.id}/data`) });
        }}
      >
        <TextField label={t("start.name")} help={t("start.nameHelp")} required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
        <Problem query={{ error: build.error }} />
        <div className={styles.foot}>
          <Button type="submit" kind="primary" busy={build.isPending} disabled={name.trim() === ""}>
            {t("start.create")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
