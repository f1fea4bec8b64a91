import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { useRunStory } from "../../api/events";
import { isUnfinished, type Run, type Upload, useMay, useMoveRun, useRuns, useStartRun, useUpload } from "../../api/queries";
import { formatNumber, formatShare, formatTime } from "../../i18n";
import { entriesOf, isFields, spansOf, valueAt, valueText } from "../../ui/answer/answers";
import { AnswerLine, useWords } from "../../ui/answer/AnswerView";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { runFailureOf } from "../../ui/failure";
import { Badge, Failure, Notice, ProgressBar, Skeleton } from "../../ui/Feedback";
import { Select, TextArea } from "../../ui/Field";
import { FileDrop, TABLES } from "../../ui/FileDrop";
import { useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { shown } from "../data/ImportFile";
import { linesOf, listFile } from "./lists";
import { useAnsweredRows, useForgetAnswers } from "./queries";
import styles from "./Try.module.css";

const KIND = "answer-file";
const MOST_LINES = 100_000;
const SHOWN = 5;

/** Paste a list or drop a file, and get it back answered. */
export function AnswerList({ project, model }: { project: string; model: string }): ReactNode {
  const runs = useRuns(project);
  const past = runs.data?.filter((run) => run.kind === KIND).slice(0, SHOWN) ?? [];
  return (
    <div className={styles.stack}>
      <NewList project={project} model={model} />
      <Problem query={runs} />
      {past.map((run) => (isUnfinished(run) ? <OpenList key={run.id} project={project} run={run} /> : <DoneList key={run.id} project={project} run={run} />))}
    </div>
  );
}

function NewList({ project, model }: { project: string; model: string }): ReactNode {
  const { t } = useTranslation();
  const upload = useUpload(project);
  const start = useStartRun(project);
  const may = useMay("build");
  const [lines, setLines] = useState("");
  const count = linesOf(lines, MOST_LINES).length;
  const answer = (sent: Upload, input: string[]) => start.mutate({ kind: KIND, request: { model, upload: sent.upload, input } }, { onSuccess: () => upload.reset() });

  return (
    <Card title={t("try.list")} note={t("try.listAbout")}>
      <Problem query={{ error: upload.error ?? start.error }} />
      {!may && <Notice tone="warn">{t("try.listMayNot")}</Notice>}
      {upload.data && !start.isPending ? (
        <ChooseColumn upload={upload.data} onStart={(input) => answer(upload.data, input)} onCancel={() => upload.reset()} />
      ) : (
        <div className={styles.columns}>
          <form
            className={styles.form}
            onSubmit={(event) => {
              event.preventDefault();
              upload.mutate(listFile(lines, t("try.listName")), { onSuccess: (sent) => answer(sent, ["text"]) });
              setLines("");
            }}
          >
            <TextArea label={t("try.pasted")} value={lines} rows={7} disabled={!may} onChange={(event) => setLines(event.target.value)} />
            <div className={styles.buttons}>
              <Button kind="primary" type="submit" disabled={!may || count === 0} busy={upload.isPending || start.isPending}>
                {count === 0 ? t("try.answerList") : t("try.answerAll", { count, n: formatNumber(count) })}
              </Button>
            </div>
          </form>
          <FileDrop beside label={t("data.chooseFile")} accept={TABLES} disabled={!may} busy={upload.isPending} onFile={(file) => upload.mutate(file)} title={t("try.drop")} about={t("try.dropAbout")} reading={t("data.reading")} />
        </div>
      )}
    </Card>
  );
}

function ChooseColumn({ upload, onStart, onCancel }: { upload: Upload; onStart: (input: string[]) => void; onCancel: () => void }): ReactNode {
  const { t } = useTranslation();
  const [column, setColumn] = useState(upload.input[0] ?? "");
  const pair = upload.input.length === 2;
  return (
    <div className={styles.form}>
      <p>
        <strong>{upload.name}</strong>
      </p>
      {!pair && <Select label={t("try.whichColumn")} value={column} options={upload.columns.map((name) => ({ value: name, label: name }))} onChange={(event) => setColumn(event.target.value)} />}
      <ul className={styles.sample}>
        {upload.rows.slice(0, 3).map((row, place) => (
          <li key={place}>{shown(row[column])}</li>
        ))}
      </ul>
      <div className={styles.buttons}>
        <Button kind="primary" onClick={() => onStart(pair ? upload.input : [column])}>
          {t("try.answerFile")}
        </Button>
        <Button onClick={onCancel}>{t("common.cancel")}</Button>
      </div>
    </div>
  );
}

function OpenList({ project, run }: { project: string; run: Run }): ReactNode {
  const { t } = useTranslation();
  const story = useRunStory(run.id);
  const move = useMoveRun(project);
  const step = story.steps.at(-1);
  const done = step ? formatNumber(step.done) : "";
  return (
    <Card
      title={run.state === "queued" ? t("try.listQueued") : t("try.listRunning")}
      note={step && step.done > 0 ? t("try.listDone", { done }) : undefined}
      actions={
        <Button small icon="stop" busy={run.state === "stopping"} onClick={() => move.mutate({ run: run.id, move: "stop" })}>
          {t("try.stop")}
        </Button>
      }
    >
      <ProgressBar share={step?.total ? Math.min(1, step.done / step.total) : null} label={t("try.listRunning")} />
      <Problem query={{ error: move.error }} />
    </Card>
  );
}

interface Result {
  name: string;
  rows: number;
  answered: number;
  passed: number;
  failed: number;
  threshold: number | null;
  formats: string[];
}

function DoneList({ project, run }: { project: string; run: Run }): ReactNode {
  const { t } = useTranslation();
  const move = useMoveRun(project);
  const forget = useForgetAnswers(project);
  const toast = useToast();
  const rows = useAnsweredRows(project, run.id);
  const when = formatTime(new Date(run.queued * 1000).toISOString());
  const result = run.result as unknown as Result | null;
  if (run.state !== "done" || !result) {
    return (
      <Card
        title={t(`state.${run.state}`)}
        note={when}
        actions={
          <Button small onClick={() => move.mutate({ run: run.id, move: "resume" })}>
            {t("build.resume")}
          </Button>
        }
      >
        {run.error && <Failure error={runFailureOf(t, run.error)} />}
        <Problem query={{ error: move.error }} />
      </Card>
    );
  }
  if (rows.error) return null; // deleted, or over a day old
  const file = (format: string) => `/api/v1/projects/${project}/answer-files/${run.id}/${format}`;
  const counted = { rows: formatNumber(result.rows), answered: formatNumber(result.answered), passed: formatNumber(result.passed), failed: formatNumber(result.failed) };
  return (
    <Card
      title={result.name}
      note={t("try.listKept", { when })}
      actions={
        <div className={styles.buttons}>
          {result.formats.map((format, place) => (
            <a key={format} className={cx(styles.download, place === 0 && styles.first)} href={file(format)} download>
              {format.toUpperCase()}
            </a>
          ))}
          <Button small kind="quiet" icon="trash" busy={forget.isPending} onClick={() => forget.mutate(run.id, { onSuccess: () => toast({ text: t("try.listDeleted") }) })}>
            {t("common.delete")}
          </Button>
        </div>
      }
    >
      <Problem query={{ error: forget.error }} />
      <p className={styles.counts}>
        <strong>{result.threshold === null ? t("try.listAll", counted) : t("try.listAnswered", counted)}</strong>
        {result.failed > 0 && <span className={styles.soft}>{t("try.listFailed", { ...counted, count: result.failed })}</span>}
      </p>
      {rows.data ? <Answered rows={rows.data} threshold={result.threshold} /> : <Skeleton lines={4} label={t("common.loading")} />}
    </Card>
  );
}

function Answered({ rows, threshold }: { rows: readonly Record<string, unknown>[]; threshold: number | null }): ReactNode {
  const { t } = useTranslation();
  const words = useWords();
  const names = Object.keys(rows[0] ?? {});
  // The file's own columns come first, then the answer, its score, and the error.
  const [answer = "", score = "", error = ""] = names.slice(-3);
  const own = names.slice(0, -3);
  const paths = [...new Set(rows.flatMap((row) => (isFields(row[answer]) ? entriesOf(row[answer]).map(([path]) => path) : [])))];
  return (
    // A region that scrolls takes the focus, so that arrow keys scroll it.
    <div className={cx(styles.wide, styles.tall)} tabIndex={0} role="region" aria-label={t("try.firstRows")}>
      <table className={styles.compared}>
        <thead>
          <tr>
            {[...own, ...(paths.length > 0 ? paths : [t("try.answer")]), t("try.score")].map((name, place) => (
              <th key={place} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, place) => (
            <tr key={place}>
              {own.map((name) => (
                <td key={name}>{shown(row[name])}</td>
              ))}
              {row[error] ? (
                <td colSpan={Math.max(1, paths.length)}>
                  <span className={styles.soft}>{shown(row[error])}</span>
                </td>
              ) : paths.length > 0 ? (
                paths.map((path) => (
                  <td key={path}>
                    <strong>{valueText(valueAt(row[answer], path), words)}</strong>
                  </td>
                ))
              ) : (
                <td>
                  <strong>{typeof row[answer] === "object" ? <AnswerLine value={row[answer]} text={own.length === 1 ? shown(row[own[0] ?? ""]) : textOf(row, own, row[answer])} /> : shown(row[answer])}</strong>
                </td>
              )}
              <td className="numbers">
                {!row[error] && formatShare(Number(row[score]))} {!row[error] && threshold !== null && Number(row[score]) < threshold && <Badge tone="warn">{t("try.listPassedOn")}</Badge>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The text of a row that its spans fit: of several columns, the longest. */
function textOf(row: Record<string, unknown>, own: readonly string[], answer: unknown): string {
  const end = Math.max(0, ...spansOf(answer).map((span) => span.end));
  const texts = own.map((name) => shown(row[name])).filter((text) => Array.from(text).length >= end);
  return texts.sort((one, other) => other.length - one.length)[0] ?? "";
}
