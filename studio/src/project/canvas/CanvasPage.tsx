import { type ReactNode, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";

import { useRunStory } from "../../api/events";
import { isUnfinished, useData, useMay, useRuns, useStartRun, useUpload } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, ButtonLink, IconButton } from "../../ui/Button";
import { Choice } from "../../ui/Choice";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { Icon } from "../../ui/icons";
import { Menu, useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import styles from "./Canvas.module.css";
import { useAtWork, type WorkOfProject } from "./AtWork";
import { CanvasGraph, DRAG_TYPE } from "./CanvasGraph";
import { addable, copiedStep, laidOver, pastedStep, sameSettings, withPasted, withStep } from "./graph";
import { type AddedFile, SentFile } from "../data/ImportFile";
import { portTitle, stepIcon, stepTitle } from "./names";
import { nodeFacts, workFacts } from "./onNodes";
import { type Kind, type Recipe, type Step, useKinds, usePresets, useRecipe, useSaveRecipe } from "./queries";
import { StepList } from "./StepList";
import type { NodeAction } from "./StepNode";
import { PortName, StepPanel } from "./StepPanel";
import { TriedPanel, useTried } from "./Tried";
import { useDraft, type RecipeDraft } from "./useDraft";

/** The recipe of a project, as a drawing of its steps and as text. */
export function CanvasPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const stored = useRecipe(project);
  if (stored.error) return <Problem query={stored} />;
  if (!stored.data) return <Skeleton label={t("common.loading")} />;
  return <Editor key={project} project={project} stored={stored.data} />;
}

function Editor({ project, stored }: { project: string; stored: Recipe }): ReactNode {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const draft = useDraft(project, stored);
  const student = draft.tree["student"] as { kind?: unknown } | undefined;
  const kinds = useKinds(project, typeof student?.kind === "string" ? student.kind : undefined);
  const wide = useWide();
  const view = search.get("view") === "text" ? "text" : "graph";
  const selected = draft.drawing.nodes.find((node) => node.id === search.get("step")) ?? null;
  const put = (name: string, value: string | null) =>
    setSearch(
      (before) => {
        const next = new URLSearchParams(before);
        if (value === null) next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  const select = (id: string | null) => put("step", id);
  const toast = useToast();
  const upload = useUpload(project);
  const build = useBuild(project, draft, stored);
  const work = useAtWork(project, draft, stored, isChanged(draft, stored));
  const facts = useFacts(project, work);
  const actions = useActions(work);
  const tried = useTried(project, draft);
  const chosen = tried.find((one) => one.id === search.get("step"));
  useKeys(draft, selected, kinds.data ?? NO_KINDS, (id) => select(id));
  const added = ({ file, rows, skipped }: AddedFile) => toast({ text: t("data.added", { file, rows: formatNumber(rows), skipped: formatNumber(skipped), count: skipped }) });
  if (kinds.error) return <Problem query={kinds} />;
  if (!kinds.data) return <Skeleton label={t("common.loading")} />;
  const panel = chosen ? (
    <TriedPanel key={chosen.id} project={project} tried={chosen} draft={draft} build={<BuildButton build={build} small />} onClose={() => select(null)} />
  ) : selected && <StepPanel key={selected.id} project={project} node={selected} draft={draft} kinds={kinds.data} work={work} build={<BuildButton build={build} small />} onClose={() => select(null)} onSelect={select} onAdded={added} />;
  return (
    <div>
      <PageTitle title={t("nav.canvas")} about={t("canvas.about")} actions={<Actions project={project} draft={draft} stored={stored} build={build} />} />
      <div className={styles.bar}>
        <Choice label={t("canvas.view")} value={view} options={[{ value: "graph", label: t("canvas.graph") }, { value: "text", label: t("canvas.text") }]} onChange={(value) => put("view", value === "text" ? value : null)} />
        <Presets project={project} draft={draft} />
        {view === "graph" && <Palette draft={draft} kinds={kinds.data} onSelect={select} />}
      </div>
      <Problem query={{ error: draft.error ?? build.error ?? upload.error }} />
      {upload.data && <SentFile project={project} upload={upload.data} onAdded={added} onClose={() => upload.reset()} />}
      {view === "text" && <TextView draft={draft} />}
      {view === "graph" && !draft.error && (
        <>
          <Astray draft={draft} />
          {wide ? (
            <div className={styles.canvas}>
              <CanvasGraph project={project} draft={draft} kinds={kinds.data} selected={chosen?.id ?? selected?.id ?? null} facts={facts} tried={tried} actions={actions} onSelect={select} onFile={(file) => upload.mutate(file)} />
              {panel}
            </div>
          ) : (
            <StepList draft={draft} kinds={kinds.data} selected={chosen?.id ?? selected?.id ?? null} facts={facts} tried={tried} onSelect={select} panel={panel} />
          )}
          {wide && <Legend draft={draft} kinds={kinds.data} />}
        </>
      )}
    </div>
  );
}

const NO_KINDS: readonly Kind[] = [];

/** What the steps show: the rows at hand, the build that goes on, or the last one, and the model at work. */
function useFacts(project: string, { told: atWork }: WorkOfProject) {
  const { t } = useTranslation();
  const data = useData(project).data;
  const run = useRuns(project).data?.find((one) => one.kind === "build" && (isUnfinished(one) || one.state === "done"));
  const story = useRunStory(run?.id);
  const going = run !== undefined && isUnfinished(run) && story.ended === null;
  return useMemo(() => new Map([...nodeFacts(t, data, story.ended ?? run, story, going), ...workFacts(t, atWork)]), [t, data, run, story, going, atWork]);
}

/** The buttons on the steps at work: the API starts and stops, its pages open. */
function useActions({ told: { serving, on, startable }, change, sound }: WorkOfProject): ReadonlyMap<string, NodeAction> {
  const { t } = useTranslation();
  const may = useMay("serve");
  const { isPending, mutate } = change;
  return useMemo(() => {
    const found = new Map<string, NodeAction>();
    if (!serving) return found;
    found.set("serve", { icon: on ? "stop" : "run", label: t(on ? "canvas.work.stop" : "canvas.work.start"), disabled: isPending || !may || (!on && (!startable || !sound)), onPress: () => mutate(on ? "stop" : "start") });
    if (serving.state === "running") {
      found.set("page", { icon: "right", label: t("canvas.work.openPage"), href: `${serving.url}/` });
      found.set("desk", { icon: "right", label: t("canvas.work.openPage"), href: serving.desk?.preview ?? `${serving.url}/` });
    }
    return found;
  }, [t, serving, on, startable, sound, may, isPending, mutate]);
}

/** Undo, redo, copy and paste, wherever one is on the page: what was deleted had the focus. A field has its own. */
function useKeys(draft: RecipeDraft, selected: Step | null, kinds: readonly Kind[], onPasted: (id: string) => void): void {
  const { t } = useTranslation();
  const toast = useToast();
  const now = useRef({ draft, selected, kinds, onPasted, said: (text: string) => toast({ text }) });
  useEffect(() => {
    now.current = { draft, selected, kinds, onPasted, said: (text) => toast({ text }) };
  });
  useEffect(() => {
    const elsewhere = (event: Event) => event.target instanceof Element && event.target.closest("input, textarea, select, [role=dialog]") !== null;
    const pressed = (event: KeyboardEvent) => {
      if (elsewhere(event) || !(event.ctrlKey || event.metaKey)) return;
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      if (key === "y" || event.shiftKey) now.current.draft.redo();
      else now.current.draft.undo();
    };
    const copied = (event: ClipboardEvent) => {
      const step = now.current.selected;
      if (elsewhere(event) || !step || document.getSelection()?.isCollapsed === false) return;
      event.clipboardData?.setData("text/plain", copiedStep(step));
      event.preventDefault();
      now.current.said(t("canvas.copied", { step: stepTitle(t, step) }));
    };
    const pasted = (event: ClipboardEvent) => {
      if (elsewhere(event)) return;
      const { draft, kinds, onPasted, said } = now.current;
      const kind = pastedStep(event.clipboardData?.getData("text/plain") ?? "", kinds);
      if (!kind) return;
      event.preventDefault();
      draft.edit({ by: "graph", drawing: withPasted(draft.drawing, kind, kinds) });
      onPasted(kind.name);
      said(t("canvas.pasted", { step: stepTitle(t, { kind: kind.name }) }));
    };
    window.addEventListener("keydown", pressed);
    document.addEventListener("copy", copied);
    document.addEventListener("paste", pasted);
    return () => {
      window.removeEventListener("keydown", pressed);
      document.removeEventListener("copy", copied);
      document.removeEventListener("paste", pasted);
    };
  }, [t]);
}

/** Builds what is drawn: what is not saved yet is saved first. */
function useBuild(project: string, draft: RecipeDraft, stored: Recipe) {
  const save = useSaveRecipe(project);
  const start = useStartRun(project);
  const going = useRuns(project).data?.some((run) => run.kind === "build" && isUnfinished(run)) ?? false;
  const rows = useData(project).data?.rows ?? 0;
  const may = useMay("build");
  const changed = isChanged(draft, stored);
  const ready = may && rows > 0 && !going && draft.mistakes.length === 0 && !draft.stale && draft.error === null;
  const begin = () => start.mutate({ kind: "build", request: { recipe: {} } });
  return {
    ready,
    going,
    busy: save.isPending || start.isPending,
    error: start.error ?? save.error,
    run: () => (changed ? save.mutate(draft.form, { onSuccess: begin }) : begin()),
  };
}

function isChanged(draft: RecipeDraft, stored: Recipe): boolean {
  return draft.draft.by === "text" ? draft.text !== stored.text : !sameSettings(draft.tree, stored.tree);
}

function BuildButton({ build, small = false }: { build: ReturnType<typeof useBuild>; small?: boolean }): ReactNode {
  const { t } = useTranslation();
  return (
    <Button icon="build" small={small} disabled={!build.ready} busy={build.busy} onClick={build.run}>
      {t(build.going ? "build.running" : "canvas.build")}
    </Button>
  );
}

function Actions({ project, draft, stored, build }: { project: string; draft: RecipeDraft; stored: Recipe; build: ReturnType<typeof useBuild> }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const save = useSaveRecipe(project);
  const toast = useToast();
  const changed = isChanged(draft, stored);
  const wrong = draft.mistakes.length;
  return (
    <div className={styles.actions}>
      {wrong > 0 ? <Badge tone="bad">{t("canvas.mistakes", { count: wrong })}</Badge> : <Badge tone={changed ? "warn" : "good"}>{t(changed ? "canvas.unsaved" : "canvas.saved")}</Badge>}
      <IconButton icon="undo" label={t("canvas.undo")} disabled={!draft.canUndo} onClick={draft.undo} />
      <IconButton icon="redo" label={t("canvas.redo")} disabled={!draft.canRedo} onClick={draft.redo} />
      <Button
        kind="primary"
        disabled={!may || !changed || wrong > 0 || draft.stale || draft.error !== null}
        title={may ? undefined : t("canvas.notAllowed")}
        busy={save.isPending}
        onClick={() => save.mutate(draft.form, { onSuccess: () => toast({ text: t("canvas.savedToast") }) })}
      >
        {t("common.save")}
      </Button>
      <BuildButton build={build} />
      {build.going && (
        <ButtonLink to={`/projects/${project}/build`} icon="right">
          {t("nav.build")}
        </ButtonLink>
      )}
      <Problem query={{ error: save.error }} />
    </div>
  );
}

function Palette({ draft, kinds, onSelect }: { draft: RecipeDraft; kinds: readonly Kind[]; onSelect: (id: string) => void }): ReactNode {
  const { t } = useTranslation();
  const more = addable(draft.drawing, kinds);
  if (more.length === 0) return null;
  return (
    <div className={styles.palette} role="group" aria-label={t("canvas.add")}>
      {more.map((kind) => (
        <button
          key={kind.name}
          type="button"
          draggable
          title={t(`canvas.kind.${kind.name}.about`, { defaultValue: "" })}
          onDragStart={(event) => event.dataTransfer.setData(DRAG_TYPE, kind.name)}
          onClick={() => {
            draft.edit({ by: "graph", drawing: withStep(draft.drawing, kind, kinds) });
            onSelect(kind.name);
          }}
        >
          <Icon name="plus" size={14} />
          <Icon name={stepIcon(kind.name)} size={14} />
          {stepTitle(t, { kind: kind.name })}
        </button>
      ))}
    </div>
  );
}

function Presets({ project, draft }: { project: string; draft: RecipeDraft }): ReactNode {
  const { t } = useTranslation();
  const presets = usePresets(project);
  const empty = Object.fromEntries(Object.entries(draft.tree).filter(([name]) => name === "name" || name === "task"));
  const items = [
    { label: t("canvas.empty"), onSelect: () => draft.edit({ by: "tree" as const, tree: empty }) },
    ...(presets.data ?? []).map((preset) => ({
      label: t(`canvas.preset.${preset.name}`, { defaultValue: preset.name }),
      onSelect: () => draft.edit({ by: "tree" as const, tree: laidOver(draft.tree, preset.settings) }),
    })),
  ];
  return <Menu trigger={<Button icon="bolt">{t("canvas.presets")}</Button>} items={items} />;
}

function TextView({ draft }: { draft: RecipeDraft }): ReactNode {
  const { t } = useTranslation();
  return (
    <>
      {draft.mistakes.length > 0 && (
        <Notice tone="bad">
          {draft.mistakes.map((mistake) => (
            <p key={mistake.place + mistake.node + mistake.text}>
              <code>{mistake.place || mistake.node}</code> {told(mistake.text)}
            </p>
          ))}
        </Notice>
      )}
      <textarea className={styles.text} aria-label={t("canvas.text")} spellCheck={false} value={draft.text} rows={Math.min(40, Math.max(16, draft.text.split("\n").length + 1))} onChange={(event) => draft.edit({ by: "text", text: event.target.value }, "text")} />
    </>
  );
}

/** Mistakes at steps that are not drawn. */
function Astray({ draft }: { draft: RecipeDraft }): ReactNode {
  const there = new Set(draft.drawing.nodes.map((node) => node.id));
  const astray = draft.mistakes.filter((mistake) => !there.has(mistake.node));
  if (astray.length === 0) return null;
  return (
    <Notice tone="bad">
      {astray.map((mistake) => (
        <p key={mistake.node + mistake.text}>
          <code>{mistake.place || mistake.node}</code> {told(mistake.text)}
        </p>
      ))}
    </Notice>
  );
}

function Legend({ draft, kinds }: { draft: RecipeDraft; kinds: readonly Kind[] }): ReactNode {
  const { t } = useTranslation();
  const there = new Set(draft.drawing.nodes.map((node) => node.kind));
  const types = [...new Set(kinds.filter((kind) => there.has(kind.name)).flatMap((kind) => [...kind.inputs, ...kind.outputs].map((port) => port.type)))];
  return (
    <p className={styles.legend}>
      {types.map((type) => (
        <PortName key={type} type={type} text={portTitle(t, type)} />
      ))}
      <span>{t("canvas.hint")}</span>
    </p>
  );
}

const WIDE = "(width >= 56rem)";

function useWide(): boolean {
  return useSyncExternalStore(
    (told) => {
      const query = window.matchMedia(WIDE);
      query.addEventListener("change", told);
      return () => query.removeEventListener("change", told);
    },
    () => window.matchMedia(WIDE).matches,
  );
}
