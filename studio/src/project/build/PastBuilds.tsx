import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useRunStory } from "../../api/events";
import { formatHeadline, headline } from "../../api/models";
import { type Run, useMay, useMoveRun, useProject } from "../../api/queries";
import { formatDuration, formatNumber, formatWhen } from "../../i18n";
import { Button, ButtonLink, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { runFailureOf } from "../../ui/failure";
import { Badge, FailureDetails, Notice, Skeleton, type Tone } from "../../ui/Feedback";
import { TextField } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { useBuildName } from "../../ui/ModelPicker";
import { Problem } from "../../ui/Problem";
import styles from "./Build.module.css";
import { useRemember } from "../data/queries";
import { Curves, Remarks, Steps } from "./OpenRun";
import { energyOf, isBrought, madeFrom, modelPath, presetOf } from "./runs";

const TONES: Partial<Record<Run["state"], Tone>> = { done: "good", failed: "bad", stopped: "warn" };
const MOST_COMPARED = 4;

/** The builds that have ended: how good each is, why one failed, and two or more to be compared. */
export function PastBuilds({ project, runs }: { project: string; runs: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const [address, setAddress] = useSearchParams();
  const move = useMoveRun(project);
  const buildName = useBuildName(project);
  const [renamed, setRenamed] = useState<Run | null>(null);
  const chosen = (address.get("compare") ?? "").split(",").filter(Boolean);
  const shownRun = runs.find((run) => run.id === address.get("steps"));
  const set = (name: string, value: string) =>
    setAddress(
      (before) => {
        if (value) before.set(name, value);
        else before.delete(name);
        return before;
      },
      { replace: true },
    );
  const toggle = (id: string) => set("compare", (chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id].slice(-MOST_COMPARED)).join(","));
  const models = runs.filter((run) => run.state === "done").length;
  return (
    <Card title={t("build.past")} note={models > 1 ? t("build.pastNote") : undefined}>
      <Problem query={{ error: move.error }} />
      <div className={styles.wide} tabIndex={0} role="region" aria-label={t("build.past")}>
        <table className={styles.past}>
          <thead>
            <tr>
              {models > 1 && (
                <th scope="col">
                  <span className="visually-hidden">{t("build.compare")}</span>
                </th>
              )}
              {["name", "preset", "state", "quality", "took", "energy", "dataVersion"].map((name) => (
                <th key={name} scope="col">
                  {t(`build.${name}`)}
                </th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>
            {runs.map((run) => (
              <PastRow key={run.id} project={project} run={run} name={buildName(run)} comparable={models > 1} checked={chosen.includes(run.id)} onCheck={() => toggle(run.id)} onSteps={() => set("steps", run.id)} onRename={() => setRenamed(run)} onResume={() => move.mutate({ run: run.id, move: "resume" })} />
            ))}
          </tbody>
        </table>
      </div>
      {renamed && <Rename project={project} run={renamed} name={buildName(renamed)} onClose={() => setRenamed(null)} />}
      {shownRun && <PastSteps run={shownRun} name={buildName(shownRun)} onClose={() => set("steps", "")} />}
    </Card>
  );
}

/** Give a build a name of one's own. */
function Rename({ project, run, name, onClose }: { project: string; run: Run; name: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const [text, setText] = useState(name);
  const names = useProject(project).data?.settings["names"] as Readonly<Record<string, string>> | undefined;
  const remember = useRemember(project);
  const save = () => remember.mutate({ names: { ...names, [run.id]: text.trim() } }, { onSuccess: onClose });
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("build.rename", { name })}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" busy={remember.isPending} onClick={save}>
            {t("common.save")}
          </Button>
        </>
      }
    >
      <TextField label={t("build.name")} help={t("build.nameHelp")} maxLength={60} value={text} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Enter" && save()} />
      <Problem query={{ error: remember.error }} />
    </Dialog>
  );
}

interface PastRowProps {
  project: string;
  run: Run;
  name: string;
  comparable: boolean;
  checked: boolean;
  onCheck: () => void;
  onSteps: () => void;
  onRename: () => void;
  onResume: () => void;
}

function PastRow({ project, run, name, comparable, checked, onCheck, onSteps, onRename, onResume }: PastRowProps): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const metric = headline(run);
  const when = formatWhen(new Date(run.queued * 1000));
  const mayName = useMay("edit");
  const energy = energyOf(run);
  const made = madeFrom(run);
  return (
    <>
      <tr>
        {comparable && <td>{run.state === "done" && <input type="checkbox" aria-label={t("build.compareThis", { name })} checked={checked} onChange={onCheck} />}</td>}
        <td className={styles.breaks}>
          <span className={styles.named}>
            <strong>{name}</strong>
            {run.state === "done" && mayName && <IconButton icon="pencil" small label={t("build.rename", { name })} onClick={onRename} />}
          </span>
          <span className={styles.when}>{when}</span>
        </td>
        <td className={styles.breaks}>{presetOf(t, run)}</td>
        <td>
          <Badge tone={TONES[run.state] ?? "plain"}>{t(`state.${run.state}`)}</Badge>
        </td>
        <td className="numbers">{metric?.value === undefined ? "" : `${formatHeadline(run, metric.value)} (${formatHeadline(run, metric.low ?? 0)}–${formatHeadline(run, metric.high ?? 1)})`}</td>
        <td className="numbers">{made.seconds === null ? "" : formatDuration(made.seconds)}</td>
        <td className="numbers">{energy === null ? "" : `${formatNumber(energy, { maximumSignificantDigits: 2 })} Wh`}</td>
        <td className="numbers">{made.version === null ? "" : formatNumber(made.version)}</td>
        <td>
          <div className={styles.rowActions}>
            {!isBrought(run) && (
              <Button small kind="quiet" onClick={onSteps}>
                {t("build.steps")}
              </Button>
            )}
            {run.state === "done" ? (
              <ButtonLink small to={`/projects/${project}/report?run=${run.id}`}>
                {t("nav.report")}
              </ButtonLink>
            ) : (
              <Button small disabled={!may} title={may ? undefined : t("build.mayNot")} onClick={onResume}>
                {t(run.state === "failed" ? "common.again" : "build.resume")}
              </Button>
            )}
          </div>
        </td>
      </tr>
      {run.error && (
        <tr className={styles.failed}>
          <td colSpan={comparable ? 9 : 8}>
            <RunFailure project={project} error={run.error} />
          </td>
        </tr>
      )}
    </>
  );
}

/** Why a build failed, in full, and what to do next. */
function RunFailure({ project, error }: { project: string; error: NonNullable<Run["error"]> }): ReactNode {
  const { t } = useTranslation();
  const shown = runFailureOf(t, error);
  const page = useProject(project).data?.kinds.length ? "files" : "data";
  return (
    <Notice tone="bad" action={<div><ButtonLink small to={`/projects/${project}/${page}`}>{t(`nav.${page}`)}</ButtonLink></div>}>
      <p className={styles.full}>{shown.message}</p>
      {shown.todo && <p className={styles.full}>{shown.todo}</p>}
      <FailureDetails error={shown} />
      <p>{t(error["kind"] === "GateError" ? "build.afterGate" : "build.afterFailure")}</p>
    </Notice>
  );
}

function PastSteps({ run, name, onClose }: { run: Run; name: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const story = useRunStory(run.id);
  return (
    <Dialog open wide onClose={onClose} title={t("build.stepsOf", { name })} about={formatWhen(new Date(run.queued * 1000))}>
      {story.steps.length === 0 && !story.ended && <Skeleton label={t("common.loading")} />}
      {story.steps.length === 0 && story.ended && <Notice>{t("build.noSteps")}</Notice>}
      <Curves curves={story.curves} height={140} />
      <Steps steps={story.steps} hideNote={modelPath(run)} />
      <Remarks story={story} />
    </Dialog>
  );
}
