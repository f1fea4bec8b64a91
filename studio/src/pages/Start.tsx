import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";

import { type Goal, type Project, useBuildResults, useClearBuildResults, useCreateProject, useDeleteProject, useGoals, useMay, useProjects } from "../api/queries";
import { formatNumber, formatTime } from "../i18n";
import { PlanJobs, PlanList } from "../plans/StartPlans";
import { Button, IconButton } from "../ui/Button";
import { Card } from "../ui/Card";
import { Badge, Skeleton } from "../ui/Feedback";
import { TextField } from "../ui/Field";
import { goalIcon, Icon } from "../ui/icons";
import { Dialog, Menu, useToast } from "../ui/Overlay";
import { RoleNote } from "../ui/RoleNote";
import { Main, PageTitle, Shell } from "../ui/Shell";
import { Problem } from "../ui/Problem";
import { OpenModel } from "./OpenModel";
import { Samples } from "./Samples";
import styles from "./Start.module.css";

/** What most people come for, shown large and in this order; other jobs follow under "more". */
const FIRST: readonly string[] = ["classify", "extract", "answer", "desk"];

/** A card of the first page: a kind of job, and the page on which one begins it. */
export interface Job {
  name: string;
  goal: Goal;
  page: "" | "data?take=traffic";
}

/** The jobs to choose from. Taking load off a large model begins by watching what it is asked; what is found most often is sorting. */
export function jobsOf(goals: readonly Goal[]): readonly Job[] {
  const sorting = goals.find((goal) => goal.task === "classify");
  const place = (task: string) => (FIRST.includes(task) ? FIRST.indexOf(task) : FIRST.length);
  const own = goals.toSorted((one, other) => place(one.task) - place(other.task)).map((goal) => ({ name: goal.task, goal, page: "" as const }));
  return sorting ? [...own, { name: "offload", goal: sorting, page: "data?take=traffic" }] : own;
}

/** The first page: the jobs to choose from, and the projects. */
export function Start(): ReactNode {
  const { t } = useTranslation();
  const projects = useProjects();
  const known = projects.data !== undefined && projects.data.length > 0;
  return (
    <Shell>
      <Main>
        <PageTitle title={t(known ? "start.projects" : "start.title")} about={known ? undefined : t("start.about")} actions={<OpenModel />} />
        <RoleNote />
        <Problem query={projects} />
        {projects.isPending && <Skeleton lines={3} label={t("common.loading")} />}
        {known && <Projects projects={projects.data} />}
        <PlanList />
        {projects.data && <Jobs titled={known} />}
        <Samples />
        <BuildResults />
      </Main>
    </Shell>
  );
}

/** The jobs to begin with: the commonest large, the rest under "more". */
function Jobs({ titled }: { titled: boolean }): ReactNode {
  const { t } = useTranslation();
  const goals = useGoals();
  const [chosen, setChosen] = useState<Job | null>(null);
  const mayEdit = useMay("edit");
  const jobs = jobsOf(goals.data ?? []);
  const card = (job: Job, large: boolean) => (
    <button key={job.name} type="button" className={large ? styles.goal : styles.example} disabled={!mayEdit} onClick={() => setChosen(job)}>
      <Icon name={goalIcon(job.name)} size={large ? 28 : 20} />
      <strong>{goalTitle(t, job.name)}</strong>
      <span>{t(`goal.${job.name}.about`, { defaultValue: job.goal.summary })}</span>
    </button>
  );
  return (
    <section className={styles.jobs} aria-label={t("start.title")}>
      {titled && (
        <div className={styles.section}>
          <div>
            <h2>{t("start.title")}</h2>
            <p className={styles.facts}>{t("start.about")}</p>
          </div>
        </div>
      )}
      <Problem query={goals} />
      <div className={styles.goals}>{jobs.filter((job) => FIRST.includes(job.name)).map((job) => card(job, true))}</div>
      {goals.data && (
        <details className={styles.more}>
          <summary>
            {t("start.more")} <span>{t("start.moreAbout")}</span>
          </summary>
          <div className={styles.examples}>{jobs.filter((job) => !FIRST.includes(job.name)).map((job) => card(job, false))}</div>
          <PlanJobs />
        </details>
      )}
      {chosen && <NewProject job={chosen} onClose={() => setChosen(null)} />}
    </section>
  );
}

function goalTitle(t: ReturnType<typeof useTranslation>["t"], task: string): string {
  return t(`goal.${task}.title`, { defaultValue: task });
}

/** The projects, the last changed first. */
function Projects({ projects }: { projects: readonly Project[] }): ReactNode {
  const { t } = useTranslation();
  const mayDelete = useMay("manage");
  const [doomed, setDoomed] = useState<Project | null>(null);
  return (
    <>
      <Card flush>
        <ul className={styles.list}>
          {projects.map((project) => (
            <li key={project.id}>
              <Icon name={goalIcon(project.task)} />
              <Link to={`/projects/${project.id}`}>{project.name}</Link>
              <Badge>{goalTitle(t, project.task)}</Badge>
              <span className={styles.facts}>{project.version === 0 && project.kinds.length === 0 ? t("start.noData") : t("start.changed", { when: formatTime(new Date(project.changed * 1000).toISOString()) })}</span>
              {mayDelete && <Menu trigger={<IconButton icon="more" small label={t("common.more")} />} items={[{ label: t("common.delete"), icon: "trash", danger: true, onSelect: () => setDoomed(project) }]} />}
            </li>
          ))}
        </ul>
      </Card>
      {doomed && <DeleteProject project={doomed} onClose={() => setDoomed(null)} />}
    </>
  );
}

/** How much of the disk build results take, and a button that clears them. Nothing below 50 MB. */
function BuildResults(): ReactNode {
  const { t } = useTranslation();
  const results = useBuildResults();
  const clear = useClearBuildResults();
  const toast = useToast();
  const mayClear = useMay("manage");
  const size = (bytes: number) => (bytes >= 1e9 ? `${formatNumber(bytes / 1e9, { maximumFractionDigits: 1 })} GB` : `${formatNumber(bytes / 1e6, { maximumFractionDigits: 0 })} MB`);
  if (!results.data || results.data.bytes < 5e7) return <Problem query={clear} />;
  return (
    <>
      <section className={styles.disk} aria-labelledby="disk">
        <Icon name="data" />
        <div>
          <h2 id="disk">{t("start.disk", { size: size(results.data.bytes), limit: size(results.data.limit) })}</h2>
          <div className={styles.used} aria-hidden="true">
            <i style={{ width: `${Math.min(100, (100 * results.data.bytes) / results.data.limit)}%` }} />
          </div>
          <p>{t("start.results")}</p>
        </div>
        {mayClear && (
          <Button small busy={clear.isPending} onClick={() => clear.mutate(undefined, { onSuccess: (cleared) => toast({ text: t("start.cleared", { size: size(cleared.freed) }) }) })}>
            {t("start.clear")}
          </Button>
        )}
      </section>
      <Problem query={clear} />
    </>
  );
}

function NewProject({ job, onClose }: { job: Job; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const go = useNavigate();
  const create = useCreateProject();
  const [name, setName] = useState("");
  const usual = t(`goal.${job.name}.name`, { defaultValue: goalTitle(t, job.name) });
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    create.mutate({ name: name.trim() || usual, task: job.goal.task }, { onSuccess: (project) => void go(`/projects/${project.id}/${job.page}`) });
  }
  return (
    <Dialog open onClose={onClose} title={goalTitle(t, job.name)} about={t(`goal.${job.name}.about`, { defaultValue: job.goal.summary })}>
      <form onSubmit={submit} id="new-project">
        <TextField label={t("start.name")} help={t("start.nameHelp")} placeholder={usual} value={name} maxLength={200} onChange={(event) => setName(event.target.value)} />
      </form>
      <Problem query={create} />
      <Button kind="primary" type="submit" form="new-project" busy={create.isPending}>
        {t("start.create")}
      </Button>
    </Dialog>
  );
}

function DeleteProject({ project, onClose }: { project: Project; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const remove = useDeleteProject();
  const toast = useToast();
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("start.deleteTitle", { name: project.name })}
      about={t("start.deleteAbout")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button
            kind="danger"
            busy={remove.isPending}
            onClick={() =>
              remove.mutate(project.id, {
                onSuccess: () => {
                  toast({ text: t("start.deleted", { name: project.name }) });
                  onClose();
                },
              })
            }
          >
            {t("common.delete")}
          </Button>
        </>
      }
    >
      <Problem query={remove} />
    </Dialog>
  );
}
