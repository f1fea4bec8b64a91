import { type ReactNode, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api, body } from "../../api/client";
import { useModels } from "../../api/models";
import { type OperatingPoint, useOperatingPoint } from "../../api/operatingPoint";
import { useMay, useProject } from "../../api/queries";
import { formatShare } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { CodeBlock, CopyButton } from "../../ui/Code";
import { Notice } from "../../ui/Feedback";
import { Range } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { useDeskFigures } from "../conversations/queries";
import { UsePoint } from "../report/AnsweringAlone";
import { placeOf } from "../report/operating";
import { type ReportView, useReport } from "../report/queries";
import { hasOneScore } from "../report/wording";
import { LINE } from "../run/draft";
import { Here, ModeChoice, MODES } from "../run/OwnAnswers";
import { at, type Serving, startOf, useServing, useTraffic } from "../run/queries";
import { Redrawn } from "../run/ServerCard";
import styles from "./Canvas.module.css";
import { withSetting } from "./graph";
import type { AtWork } from "./onNodes";
import { type Recipe, type Step, useSaveRecipe } from "./queries";
import type { RecipeDraft } from "./useDraft";

/** The model at work, as the steps show it, and how it is started and stopped from them. */
export function useAtWork(project: string, draft: RecipeDraft, stored: Recipe, changed: boolean) {
  const queries = useQueryClient();
  const serving = useServing(project).data;
  const models = useModels(project);
  const converses = useProject(project).data?.converses ?? false;
  const on = serving !== undefined && ["starting", "running", "silent"].includes(serving.state);
  const figures = useTraffic(project, 1, on).data?.figures ?? null;
  const desk = useDeskFigures(project, 1, on && converses).data;
  const model = (on ? serving.settings.model : models?.[0]?.id) ?? "";
  const ofBuild = useOperatingPoint(project, model === LINE ? "" : model).data;
  const point = (model === LINE ? serving?.point : ofBuild) ?? null;
  const save = useSaveRecipe(project);
  const drawn = (kind: string, name: string): unknown => draft.drawing.nodes.find((node) => node.kind === kind)?.settings["route"]?.[name];
  const drawnBefore = ((stored.tree["route"] ?? {}) as Record<string, unknown>)["fallback"] !== undefined;
  const behind = drawn("route", "fallback") !== undefined || (!drawnBefore && (serving?.settings.fallback ?? "") !== "");
  const given = MODES.find((one) => one === drawn("unsure", "local"));
  const mode = given ?? serving?.settings.local ?? "certified";
  const startable = model !== "" || (behind && !converses);
  const change = useMutation({
    // What is drawn is saved first: the server says then how it would start.
    mutationFn: async (move: "start" | "stop") => {
      if (move === "stop") return body(api.POST("/api/v1/projects/{project}/serving/stop", at(project)));
      if (changed) await save.mutateAsync(draft.form);
      const now = await body(api.GET("/api/v1/projects/{project}/serving", at(project)));
      return body(api.POST("/api/v1/projects/{project}/serving/start", { ...at(project), body: startOf(now, models?.[0]?.id) }));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["serving", project] }),
  });
  const told = useMemo((): AtWork => ({ serving, on, startable, figures, desk, point, mode, behind }), [serving, on, startable, figures, desk, point, mode, behind]);
  return { told, model, models: models ?? [], given, change, sound: draft.mistakes.length === 0 && draft.error === null && !draft.stale };
}

export type WorkOfProject = ReturnType<typeof useAtWork>;

/** Start or stop, by the same calls as on the page Run. */
function StartStop({ work }: { work: WorkOfProject }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("serve");
  const { told, change, sound } = work;
  return (
    <>
      <Button small kind={told.on ? "plain" : "primary"} icon={told.on ? "stop" : "run"} busy={change.isPending} disabled={!may || (!told.on && (!told.startable || !sound))} title={may ? undefined : t("run.notAllowed")} onClick={() => change.mutate(told.on ? "stop" : "start")}>
        {t(told.on ? "run.stop" : "run.start")}
      </Button>
      <Problem query={{ error: change.error }} />
    </>
  );
}

/** What stands in the panel of a step at work, above its settings; null for other steps. */
export function WorkPanel({ project, step, draft, work }: { project: string; step: Step; draft: RecipeDraft; work: WorkOfProject }): ReactNode {
  const { t } = useTranslation();
  const { serving } = work.told;
  if (!serving) return null;
  if (step.kind === "serve") return <ApiPanel project={project} serving={serving} work={work} />;
  if (step.kind === "page") return <PagePanel serving={serving} work={work} href={`${serving.url}/`} words={serving.keyed ? "canvas.work.pageKeyed" : "canvas.work.pageOpen"} />;
  if (step.kind === "desk") return <DeskPanel project={project} serving={serving} work={work} />;
  if (step.kind === "unsure") return <UnsurePanel project={project} step={step} draft={draft} work={work} />;
  if (step.kind === "route" && !serving.has_fallback_key) {
    return (
      <p className={styles.about}>
        {t("canvas.work.key")} <Link to={`/projects/${project}/run`}>{t("nav.run")}</Link>
      </p>
    );
  }
  return null;
}

function ApiPanel({ project, serving, work }: { project: string; serving: Serving; work: WorkOfProject }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("serve");
  const { told, models } = work;
  return (
    <div className={styles.form}>
      <p role="status">
        <strong>{t(serving.state === "running" && serving.settings.model === "" ? "run.watching" : `run.state.${serving.state}`)}</strong>
      </p>
      {told.on && (
        <p className={styles.files}>
          <code>{serving.url}/v1</code>
          <CopyButton text={`${serving.url}/v1`} label={t("run.copyAddress")} />
        </p>
      )}
      {serving.state === "failed" && serving.log.length > 0 && <CodeBlock code={serving.log.join("\n")} label={t("run.log")} />}
      {told.on && <Redrawn project={project} serving={serving} models={models} may={may} />}
      {!told.startable && <p className={styles.about}>{t("run.noModelYet")}</p>}
      <div className={styles.panelFoot}>
        <StartStop work={work} />
        <ButtonLink small to={`/projects/${project}/run`} icon="right">
          {t("nav.run")}
        </ButtonLink>
      </div>
    </div>
  );
}

function PagePanel({ serving, work, href, words }: { serving: Serving; work: WorkOfProject; href: string; words: string }): ReactNode {
  const { t } = useTranslation();
  const running = serving.state === "running";
  return (
    <div className={styles.form}>
      <p className={styles.about}>{t(running ? words : "canvas.work.withApiAbout")}</p>
      {running && (
        <p>
          <a href={href} target="_blank" rel="noreferrer">
            {t("canvas.work.openPage")}
          </a>
        </p>
      )}
      <div className={styles.panelFoot}>
        <StartStop work={work} />
      </div>
    </div>
  );
}

function DeskPanel({ project, serving, work }: { project: string; serving: Serving; work: WorkOfProject }): ReactNode {
  const { t } = useTranslation();
  const { desk } = serving;
  return (
    <div className={styles.form}>
      <PagePanel serving={serving} work={work} href={desk?.preview ?? `${serving.url}/`} words="canvas.work.deskOpen" />
      {desk && <CodeBlock code={desk.script} label={t("channels.script")} copy />}
      <div className={styles.panelFoot}>
        <ButtonLink small to={`/projects/${project}/channels`}>
          {t("nav.channels")}
        </ButtonLink>
        <ButtonLink small to={`/projects/${project}/conversations`}>
          {t("nav.conversations")}
        </ButtonLink>
      </div>
    </div>
  );
}

/** From which score it answers, and what happens to the rest: the point of the report, the page Try and the page Run. */
function UnsurePanel({ project, step, draft, work }: { project: string; step: Step; draft: RecipeDraft; work: WorkOfProject }): ReactNode {
  const { t } = useTranslation();
  const { told, model, given } = work;
  const { point, mode, behind } = told;
  const view = useReport(project, model === LINE ? "" : model).data;
  const scored = view !== undefined && (view.report.risk_coverage?.points.length ?? 0) > 0 && !hasOneScore(view);
  return (
    <div className={styles.form}>
      {model === "" ? <p className={styles.about}>{t("canvas.work.noPoint")}</p> : (
        <Notice tone="accent">
          <Here project={project} model={model} point={point} mode={mode} alone={!behind} />
        </Notice>
      )}
      {scored && <PointRange key={`${view.id} ${point?.threshold ?? ""}`} project={project} view={view} used={point} />}
      {behind ? (
        <>
          <ModeChoice mode={mode} modes={MODES} onChange={(local) => draft.edit({ by: "graph", drawing: withSetting(draft.drawing, step.id, "route", "local", local) })} />
          {given && (
            <Button small kind="quiet" onClick={() => draft.edit({ by: "graph", drawing: withSetting(draft.drawing, step.id, "route", "local", undefined) })}>
              {t("canvas.work.usualMode")}
            </Button>
          )}
        </>
      ) : (
        <p className={styles.about}>{t("canvas.work.alone")}</p>
      )}
    </div>
  );
}

/** The operating point, chosen from those that the report measured. */
function PointRange({ project, view, used }: { project: string; view: ReportView; used: OperatingPoint | null }): ReactNode {
  const { t } = useTranslation();
  const points = view.report.risk_coverage?.points ?? [];
  const stored = (useProject(project).data?.settings["operating_point"] ?? {}) as { wrong_cost?: number | null; escalation_cost?: number | null };
  const [chosen, setChosen] = useState(() => (used?.threshold == null ? points.length - 1 : placeOf(points, used.threshold)));
  const point = points[chosen] ?? points.at(-1);
  if (!point) return null;
  const costs = stored.wrong_cost != null && stored.escalation_cost != null ? { wrong: stored.wrong_cost, escalated: stored.escalation_cost } : null;
  const same = used?.threshold === point.threshold;
  return (
    <div className={styles.form}>
      <Range label={t(view.report.graded ? "report.letThrough" : "report.answerShare")} shown={formatShare(point.coverage)} min={0} max={points.length - 1} step={1} value={chosen} onChange={(event) => setChosen(Number(event.target.value))} />
      {!same && !view.report.graded && <p className={styles.about}>{t("canvas.work.wouldBe", { share: formatShare(point.coverage), error: formatShare(point.risk, 1), low: formatShare(point.risk_low, 1), high: formatShare(point.risk_high, 1) })}</p>}
      <UsePoint project={project} view={view} threshold={point.threshold} used={same} certified={used?.chosen_by === "certificate"} costs={costs} />
    </div>
  );
}
