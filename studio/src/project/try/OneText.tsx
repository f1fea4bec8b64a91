import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { ApiError } from "../../api/client";
import { type Row, rowsQuery } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Empty, Skeleton } from "../../ui/Feedback";
import { TextArea } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { AnswerCard } from "./AnswerCard";
import { type Answer, type Answering, type TriedText, useAnswer, writeAnswer, type Written } from "./queries";
import styles from "./Try.module.css";

const PAUSE_MS = 250;
const LONGEST_LINK = 600;
const EXAMPLES = 4;

interface Props {
  project: string;
  model: string;
  facts: Answering;
}

/** A text, and the model's answer to it: while one types, or by a button where the model writes texts. */
export function OneText({ project, model, facts }: Props): ReactNode {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const [text, setText] = useState(search.get("text") ?? "");
  const [second, setSecond] = useState(search.get("second") ?? "");
  const settled = useSettled(text, second, PAUSE_MS);
  const writing = useWriting(project, model);
  const writes = facts.shape === "text";
  const tried: TriedText = { text: settled.text, second: facts.pairs ? settled.second : null };

  useEffect(() => {
    setSearch(
      (before) => {
        for (const [name, value] of [["text", settled.text], ["second", settled.second]] as const) {
          if (value && value.length <= LONGEST_LINK) before.set(name, value);
          else before.delete(name);
        }
        return before;
      },
      { replace: true },
    );
  }, [settled, setSearch]);

  function choose(row: Row): void {
    setText(row.input);
    setSecond(row.second ?? "");
    if (facts.streams) writing.start({ text: row.input, second: row.second });
  }

  return (
    <div className={styles.pair}>
      <Card>
        <form
          className={styles.form}
          onSubmit={(event) => {
            event.preventDefault();
            writing.start({ text, second: facts.pairs ? second : null });
          }}
        >
          <TextArea
            label={facts.pairs ? t("try.first") : t(writes ? "try.given" : "try.yourText")}
            value={text}
            maxLength={20_000}
            rows={6}
            placeholder={t(writes ? "try.placeholderWrite" : "try.placeholder")}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
            }}
          />
          {facts.pairs && <TextArea label={t("try.second")} value={second} maxLength={20_000} rows={4} onChange={(event) => setSecond(event.target.value)} />}
          {facts.streams && (
            <div className={styles.buttons}>
              <Button kind="primary" type="submit" icon="bolt" disabled={!text.trim()} busy={writing.busy}>
                {t("try.write")}
              </Button>
              {writing.busy && (
                <Button icon="stop" onClick={writing.stop}>
                  {t("try.stop")}
                </Button>
              )}
            </div>
          )}
        </form>
        <Examples project={project} onChoose={choose} />
      </Card>
      <div className={styles.answers} aria-live="polite">
        {facts.streams ? <WrittenAnswer project={project} facts={facts} writing={writing} /> : <LiveAnswer project={project} model={model} facts={facts} text={tried} />}
      </div>
    </div>
  );
}

function LiveAnswer({ project, model, facts, text }: Props & { text: TriedText }): ReactNode {
  const { t } = useTranslation();
  const asked = text.text.trim() !== "";
  const answer = useAnswer(project, model, text, asked);
  // The text that the shown answer is for, which may be an earlier one than in the box.
  const [shown, setShown] = useState(text);
  if (answer.data && !answer.isPlaceholderData && (shown.text !== text.text || shown.second !== text.second)) setShown(text);
  if (!asked) return <Waiting />;
  if (answer.error) return <Problem query={answer} />;
  if (!answer.data)
    return (
      <Card title={t("try.answer")}>
        <Skeleton lines={4} label={t("try.loadingModel")} />
      </Card>
    );
  return <AnswerCard project={project} facts={facts} text={answer.isPlaceholderData ? shown : text} answer={answer.data} />;
}

function Waiting({ writes = false }: { writes?: boolean }): ReactNode {
  const { t } = useTranslation();
  return (
    <Card>
      <Empty icon="chat" title={t(writes ? "try.nothingWritten" : "try.nothing")}>
        {t(writes ? "try.nothingWrittenTodo" : "try.nothingTodo")}
      </Empty>
    </Card>
  );
}

function Examples({ project, onChoose }: { project: string; onChoose: (row: Row) => void }): ReactNode {
  const { t } = useTranslation();
  const everything = { search: "", output: null, unlabelled: false, part: null };
  const rows = useQuery({ ...rowsQuery(project, everything, 0), staleTime: 60_000 }).data?.rows ?? [];
  const few = Array.from({ length: Math.min(EXAMPLES, rows.length) }, (_, place) => rows[Math.floor((place * rows.length) / EXAMPLES)]).filter((row) => row !== undefined);
  if (few.length === 0) return null;
  return (
    <div className={styles.examples}>
      <h3>{t("try.examples")}</h3>
      <ul>
        {few.map((row) => (
          <li key={row.key}>
            <button type="button" onClick={() => onChoose(row)}>
              {row.input}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface Writing {
  text: TriedText | null;
  soFar: string;
  speed: Written | null;
  answer: Answer | null;
  error: Error | null;
  busy: boolean;
  start: (text: TriedText) => void;
  stop: () => void;
}

/** A text that is being written, piece by piece. */
function useWriting(project: string, model: string): Writing {
  const [state, setState] = useState<Omit<Writing, "start" | "stop">>({ text: null, soFar: "", speed: null, answer: null, error: null, busy: false });
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  function start(text: TriedText): void {
    if (!text.text.trim()) return;
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    setState({ text, soFar: "", speed: null, answer: null, error: null, busy: true });
    writeAnswer(project, model, text, (piece) => setState((old) => ({ ...old, soFar: old.soFar + piece.text, speed: piece })), control.signal).then(
      (answer) => setState((old) => ({ ...old, answer, busy: false })),
      (error: unknown) => {
        if (control.signal.aborted) return;
        setState((old) => ({ ...old, busy: false, error: error instanceof ApiError ? error : new ApiError(0, { message: "offline" }) }));
      },
    );
  }

  function stop(): void {
    running.current?.abort();
    setState((old) => ({ ...old, busy: false }));
  }

  return { ...state, start, stop };
}

function WrittenAnswer({ project, facts, writing }: { project: string; facts: Answering; writing: Writing }): ReactNode {
  const { t } = useTranslation();
  if (writing.error) return <Problem query={{ error: writing.error }} />;
  if (!writing.text) return <Waiting writes />;
  const speed = writing.speed && writing.speed.seconds > 0 ? t("try.speed", { tokens: formatNumber(writing.speed.tokens), rate: formatNumber(writing.speed.tokens / writing.speed.seconds, { maximumFractionDigits: 0 }) }) : undefined;
  if (writing.answer) return <AnswerCard project={project} facts={facts} text={writing.text} answer={writing.answer} speed={speed} />;
  return (
    <Card title={t("try.answer")} note={writing.busy ? speed : t("try.stopped")}>
      {writing.soFar || !writing.busy ? <p className={styles.written}>{writing.soFar}</p> : <Skeleton lines={3} label={t("try.writing")} />}
    </Card>
  );
}

/** Texts as they were when nobody had typed for a while. */
function useSettled(text: string, second: string, pause: number): { text: string; second: string } {
  const [settled, setSettled] = useState({ text, second });
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled({ text, second }), pause);
    return () => window.clearTimeout(timer);
  }, [text, second, pause]);
  return settled;
}
