import { type KeyboardEvent as ReactKeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useAnswerForm, useLabels, useMay } from "../../api/queries";
import { formatNumber, formatShare } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge, Empty, Notice, ProgressBar, Skeleton } from "../../ui/Feedback";
import { Search } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { isLooking, useLook, useLookAgain } from "../data/queries";
import { ByForm } from "./ByForm";
import { assignKeys, matching } from "./keys";
import { SaveState } from "./SaveState";
import styles from "./Label.module.css";
import { type Labelling, useLabelling } from "./queries";

const REMIND_ROWS = 30;
const SHOWN = 60;

/** Label rows one after another, by keys alone where one likes. */
export function LabelPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const mayEdit = useMay("edit");
  const labelling = useLabelling(project);
  const form = useAnswerForm(project);
  const byKeys = form.data?.shape === "label";
  const labels = useLabels(project, byKeys);
  const { story } = useLook(project);
  const { queue, session } = labelling;
  const back = (
    <ButtonLink small icon="data" to={`/projects/${project}/data`}>
      {t("label.back")}
    </ButtonLink>
  );
  if (queue.error ?? form.error ?? labels.error) return <Problem query={queue.error ? queue : form.error ? form : labels} />;
  if (!queue.data || !form.data || (byKeys && !labels.data)) return <Skeleton label={t("common.loading")} />;
  const waiting = Math.max(0, queue.data.unlabelled + queue.data.suspects - session.rows.filter(({ row }) => session.answered.has(row.key)).length);
  return (
    <div className={styles.page}>
      <PageTitle title={t("label.title")} about={t(byKeys ? "label.progress" : "label.progressForm", { done: formatNumber(session.past.filter((one) => one.answered).length), left: formatNumber(waiting) })} actions={back} />
      {byKeys && <Suggestions project={project} labelling={labelling} share={story.steps.at(-1)?.total ? (story.steps.at(-1)?.done ?? 0) / (story.steps.at(-1)?.total ?? 1) : null} />}
      <Problem query={{ error: labelling.error, refetch: labelling.save }} />
      {session.current && !byKeys && <ByForm key={session.current.row.key} project={project} labelling={labelling} form={form.data} mayEdit={mayEdit} />}
      {session.current && byKeys && <KnownLabels labelling={labelling} known={(labels.data ?? []).flatMap((found) => (typeof found.output === "string" ? [found.output] : []))} mayEdit={mayEdit} />}
      {!session.current && (
        <Card>
          <Empty
            icon="check"
            title={t(session.skipped.size ? "label.onlySkipped" : "label.done")}
            actions={
              <>
                {session.skipped.size > 0 && (
                  <Button kind="primary" onClick={() => labelling.move({ kind: "again" })}>
                    {t("label.showSkipped", { count: session.skipped.size, rows: formatNumber(session.skipped.size) })}
                  </Button>
                )}
                <ButtonLink kind={session.skipped.size ? "plain" : "primary"} icon="build" to={`/projects/${project}/build`}>
                  {t("label.build")}
                </ButtonLink>
              </>
            }
          >
            {t("label.doneAbout")}
            {session.past.length > 0 && (
              <>
                <br />
                <SaveState session={session} />
              </>
            )}
          </Empty>
        </Card>
      )}
    </div>
  );
}

/** When the suggestions were made, and a way to make better ones. */
function Suggestions({ project, labelling, share }: { project: string; labelling: Labelling; share: number | null }): ReactNode {
  const { t } = useTranslation();
  const { look } = useLook(project);
  const again = useLookAgain(project);
  const mayBuild = useMay("build");
  const looking = isLooking(look.data);
  const refetch = labelling.queue.refetch;
  const was = useRef(looking);
  useEffect(() => {
    if (was.current && !looking) void refetch();
    was.current = looking;
  }, [looking, refetch]);
  const since = (labelling.queue.data?.since ?? 0) + labelling.session.past.filter((one) => one.answered).length;
  if (looking) {
    const said = t(look.data?.version === null ? "label.firstLook" : "label.learning");
    return (
      <div className={styles.note}>
        <ProgressBar share={share} label={said} />
        <p>{said}</p>
      </div>
    );
  }
  if (look.data?.version !== null && since < REMIND_ROWS) return null;
  return (
    <Notice
      tone="accent"
      action={
        <Button
          small
          disabled={!mayBuild}
          busy={again.isPending}
          onClick={() => {
            labelling.save();
            again.mutate();
          }}
        >
          {t("label.better")}
        </Button>
      }
    >
      {look.data?.version === null ? t("label.noSuggestions") : t("label.since", { rows: formatNumber(since) })}
    </Notice>
  );
}

/** The labels in an order that stays as it is, so that their keys do: new ones come at the end. */
function KnownLabels({ labelling, known, mayEdit }: { labelling: Labelling; known: readonly string[]; mayEdit: boolean }): ReactNode {
  const [first] = useState(() => [...known].sort((one, other) => one.localeCompare(other)));
  const { current, pending } = labelling.session;
  const given = pending.flatMap((entry) => (typeof entry.output === "string" ? [entry.output] : []));
  const labels = [...new Set([...first, ...known, ...given])];
  return current && <CurrentRow key={current.row.key} labelling={labelling} labels={labels} mayEdit={mayEdit} />;
}

interface CurrentProps {
  labelling: Labelling;
  labels: readonly string[];
  mayEdit: boolean;
}

function CurrentRow({ labelling, labels, mayEdit }: CurrentProps): ReactNode {
  const { t } = useTranslation();
  const { session, move } = labelling;
  const [typed, setTyped] = useState("");
  const field = useRef<HTMLDivElement>(null);
  const current = session.current;
  const keys = assignKeys(labels);
  const suggestions = current?.suggestions.filter(({ label }) => labels.includes(label)) ?? [];
  const many = keys.size === 0 && labels.length > 0;
  const chances = new Map(suggestions.map(({ label, chance }) => [label, chance]));
  const found = matching(many ? [...suggestions.map(({ label }) => label), ...labels.filter((label) => !chances.has(label))] : labels, typed);
  const keyOf = (label: string) => {
    if (!many) return keys.get(label);
    const place = suggestions.findIndex((one) => one.label === label);
    return place < 0 ? undefined : String(place + 1);
  };
  const byKey = new Map(labels.flatMap((label) => (keyOf(label) === undefined ? [] : [[keyOf(label), label] as const])));
  const answer = (output: string) => mayEdit && move({ kind: "answer", output });
  const isNew = typed.trim() !== "" && !labels.some((label) => label.toLowerCase() === typed.trim().toLowerCase());
  const input = () => field.current?.querySelector("input");

  /** What a key does while nothing is typed; true where it did something. */
  function act(key: string): boolean {
    const label = byKey.get(key.toLowerCase());
    if (label !== undefined) answer(label);
    else if (key === "ArrowRight") move({ kind: "skip" });
    else if (key === "ArrowLeft" || key === "Backspace") move({ kind: "undo" });
    else if (key === "Enter" && suggestions[0]) answer(suggestions[0].label);
    else if (key === "/" || key === "+") input()?.focus();
    else return false;
    return true;
  }
  const latest = useRef(act);
  useEffect(() => {
    latest.current = act;
  });
  useEffect(() => {
    function press(event: KeyboardEvent): void {
      const target = event.target as HTMLElement;
      if (event.altKey || target.closest("input, select, textarea, [role=dialog], [role=menu]")) return;
      if (event.ctrlKey || event.metaKey) {
        if (event.key !== "z") return;
        event.preventDefault();
        latest.current("ArrowLeft");
      } else if (event.key === "Enter" && target.closest("button, a")) {
        return;
      } else if (latest.current(event.key)) {
        event.preventDefault();
      } else if (event.key.length === 1 && /\p{L}/u.test(event.key)) {
        field.current?.querySelector("input")?.focus(); // the letter itself goes into the field
      }
    }
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);

  function typing(event: ReactKeyboardEvent<HTMLInputElement>): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typed === "" && event.key !== "/" && (event.key.startsWith("Arrow") || event.key === "Enter" || event.key === "Backspace" || /\d/.test(event.key))) {
      if (act(event.key)) event.preventDefault();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const first = found[0];
      if (first !== undefined) answer(first);
      else if (isNew) answer(typed.trim());
    } else if (event.key === "Escape") {
      setTyped("");
      input()?.blur();
    }
  }

  if (!current) return null;
  const shown = found.slice(0, SHOWN);
  return (
    <>
      <Card>
        <div className={styles.row} aria-live="polite">
          {current.reason === "suspect" && <Badge tone="warn">{t("label.suspect", { label: String(current.row.output) })}</Badge>}
          <p className={styles.text}>{current.row.input}</p>
          {current.row.second && <p className={styles.text}>{current.row.second}</p>}
        </div>
      </Card>
      <div className={styles.find} ref={field}>
        <Search label={t(labels.length ? (many ? "label.find" : "label.findOrAdd") : "label.first")} value={typed} onChange={(event) => setTyped(event.target.value)} onKeyDown={typing} autoComplete="off" disabled={!mayEdit} />
      </div>
      <ul className={styles.labels} aria-label={t("label.labels")}>
        {shown.map((label) => {
          const key = keyOf(label);
          const chance = chances.get(label);
          const first = suggestions[0]?.label === label;
          return (
            <li key={label}>
              <button type="button" className={cx(styles.label, first && styles.suggested)} disabled={!mayEdit} aria-keyshortcuts={key} onClick={() => answer(label)}>
                {key !== undefined && <kbd>{key.toUpperCase()}</kbd>}
                <span className={styles.name}>{label}</span>
                {first && <Badge tone="accent">{t("label.suggested", { share: formatShare(chance ?? 0) })}</Badge>}
                {!first && chance !== undefined && chance >= 0.01 && <span className={styles.chance}>{formatShare(chance)}</span>}
              </button>
            </li>
          );
        })}
        {isNew && (
          <li>
            <button type="button" className={styles.label} disabled={!mayEdit} onClick={() => answer(typed.trim())}>
              <kbd>{found.length ? "+" : "↵"}</kbd>
              <span className={styles.name}>{t("label.new", { label: typed.trim() })}</span>
            </button>
          </li>
        )}
      </ul>
      {found.length > SHOWN && <p className={styles.soft}>{t("label.typeMore", { rows: formatNumber(found.length - SHOWN) })}</p>}
      <div className={styles.foot}>
        <Button small kind="quiet" icon="undo" disabled={!session.past.length} onClick={() => move({ kind: "undo" })}>
          {t("label.undo")} <kbd>←</kbd>
        </Button>
        <Button small kind="quiet" icon="right" onClick={() => move({ kind: "skip" })}>
          {t("label.skip")} <kbd>→</kbd>
        </Button>
        {suggestions[0] && (
          <span className={styles.soft}>
            <kbd>↵</kbd> {t("label.take")}
          </span>
        )}
        <SaveState session={session} />
      </div>
    </>
  );
}
