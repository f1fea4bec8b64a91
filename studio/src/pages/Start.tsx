import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";

import { type Goal, type Project, useBuildResults, useClearBuildResults, useCreateProject, useDeleteProject, useGoals, useMay, useProjects } from "../api/queries";
import { formatNumber, formatTime } from "../i18n";
import { PlanJobs, PlanList } from "../plans/StartPlans";
import { Button, IconButton } from "../ui/Button";
import { Card } from "../ui/Card";
import { Badge, Empty, Skeleton } from "../ui/Feedback";
import { TextField } from "../ui/Field";
import { Icon, type IconName } from "../ui/icons";
import { Dialog, Menu, useToast } from "../ui/Overlay";
import { RoleNote } from "../ui/RoleNote";
import { Main, PageTitle, Shell } from "../ui/Shell";
import { Problem } from "../ui/Problem";
import { OpenModel } from "./OpenModel";
import { Samples, SampleProject } from "./Samples";
import styles from "./Start.module.css";

export const GOAL_ICONS: Record<string, IconName> = { classify: "label", extract: "search", write: "doc", desk: "chat", answer: "search", act: "bolt", recommend: "data", complete: "branch" };

/** What most people come for, in this order; other jobs follow. */
const FIRST: readonly string[] = ["desk", "classify", "extract", "write", "answer", "act", "recommend", "complete"];

/** A card of the first page: a kind of job, and the page on which one begins it. */
interface Job {
  name: string;
  goal: Goal;
  page: "" | "data?take=traffic";
}

/** The jobs to choose from. Taking load off a large model begins by watching what it is asked; what is found most often is sorting. */
function jobsOf(goals: readonly Goal[]): readonly Job[] {
  const sorting = goals.find((goal) => goal.task === "classify");
  const place = (task: string) => (FIRST.includes(task) ? FIRST.indexOf(task) : FIRST.length);
  const own = goals.toSorted((one, other) => place(one.task) - place(other.task)).map((goal) => ({ name: goal.task, goal, page: "" as const }));
  return sorting ? [...own, { name: "offload", goal: sorting, page: "data?take=traffic" }] : own;
}

/** The first page: the jobs to choose from, and the projects. */
export function Start(): ReactNode {
  const { t } = useTranslation();
  const goals = useGoals();
  const [chosen, setChosen] = useState<Job | null>(null);
  const mayEdit = useMay("edit");
  return (
    <Shell>
      <Main>
        <PageTitle title={t("start.title")} about={t("start.about")} />
        <RoleNote />
        <Problem query={goals} />
        <div className={styles.goals}>
          {jobsOf(goals.data ?? []).map((job) => (
            <button key={job.name} type="button" className={styles.goal} disabled={!mayEdit} onClick={() => setChosen(job)}>
              <Icon name={GOAL_ICONS[job.name] ?? "bolt"} size={24} />
              <strong>{goalTitle(t, job.name)}</strong>
              <span>{t(`goal.${job.name}.about`, { defaultValue: job.goal.summary })}</span>
            </button>
          ))}
        </div>
        <PlanJobs />
        <Samples />
        <Projects />
        <PlanList />
        <BuildResults />
        {chosen && <NewProject job={chosen} onClose={() => setChosen(null)} />}
      </Main>
    </Shell>
  );
}

function goalTitle(t: ReturnType<typeof useTranslation>["t"], task: string): string {
  return t(`goal.${task}.title`, { defaultValue: task });
}

function Projects(): ReactNode {
  const { t } = useTranslation();
  const projects = useProjects();
  const mayDelete = useMay("manage");
  const [doomed, setDoomed] = useState<Project | null>(null);
  return (
    <>
      <div className={styles.section}>
        <h2>{t("start.projects")}</h2>
        <OpenModel />
      </div>
      <Problem query={projects} />
      <Card flush>
        {projects.isPending && <Skeleton lines={3} label={t("common.loading")} />}
        {projects.data?.length === 0 && (
          <Empty icon="data" title={t("start.noProjects")} actions={<SampleProject />}>
            {t("start.noProjectsTodo")}
          </Empty>
        )}
        {projects.data && projects.data.length > 0 && (
          <ul className={styles.list}>
            {projects.data.map((project) => (
              <li key={project.id}>
                <Icon name={GOAL_ICONS[project.task] ?? "bolt"} />
                <Link to={`/projects/${project.id}`}>{project.name}</Link>
                <Badge>{goalTitle(t, project.task)}</Badge>
                <span className={styles.facts}>{project.version === 0 && project.kinds.length === 0 ? t("start.noData") : t("start.changed", { when: formatTime(new Date(project.changed * 1000).toISOString()) })}</span>
                {mayDelete && <Menu trigger={<IconButton icon="more" small label={t("common.more")} />} items={[{ label: t("common.delete"), icon: "trash", danger: true, onSelect: () => setDoomed(project) }]} />}
              </li>
            ))}
          </ul>
        )}
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
      <p className={styles.disk}>
        <span>{t("start.results", { size: size(results.data.bytes), limit: size(results.data.limit) })}</span>
        {mayClear && (
          <Button small busy={clear.isPending} onClick={() => clear.mutate(undefined, { onSuccess: (cleared) => toast({ text: t("start.cleared", { size: size(cleared.freed) }) }) })}>
            {t("start.clear")}
          </Button>
        )}
      </p>
      <Problem query={clear} />
    </>
  );
}

function NewProject({ job, onClose }: { job: Job; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const go = useNavigate();
  const create = useCreateProject();
  const [name, setName] = useState("");
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    create.mutate({ name: name.trim() || goalTitle(t, job.name), task: job.goal.task }, { onSuccess: (project) => void go(`/projects/${project.id}/${job.page}`) });
  }
  return (
    <Dialog open onClose={onClose} title={goalTitle(t, job.name)} about={t(`goal.${job.name}.about`, { defaultValue: job.goal.summary })}>
      <form onSubmit={submit} id="new-project">
        <TextField label={t("start.name")} help={t("start.nameHelp")} placeholder={t(`goal.${job.name}.name`, { defaultValue: goalTitle(t, job.name) })} value={name} maxLength={200} onChange={(event) => setName(event.target.value)} />
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
