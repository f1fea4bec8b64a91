import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { useModels } from "../../api/models";
import { useMay } from "../../api/queries";
import { formatNumber, formatShare } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { cx } from "../../ui/cx";
import { type Tone, Notice } from "../../ui/Feedback";
import { TextField } from "../../ui/Field";
import { useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import styles from "./Documents.module.css";
import { EditQuestion } from "./QuestionList";
import { type AskedRow, type Considered, type Tested, useAddQuestion, useDocuments, useQuestions, useTestQuestion } from "./queries";

const TONES: Record<Tested["verdict"], Tone> = { answered: "good", unsure: "warn", nothing: "warn", no_model: "plain" };

/** Ask a question, and see which passages are considered, what would be quoted, and why or why not. */
export function TestQuestion({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const models = useModels(project);
  const newest = models?.[0]?.id ?? null;
  const [by, setBy] = useState<"model" | "words">("model");
  return (
    <Card
      title={t("documents.test")}
      note={t(newest ? "documents.testAbout" : "documents.testAboutWords")}
      actions={
        newest && <Choice label={t("documents.by")} value={by} options={[{ value: "model", label: t("documents.byModel") }, { value: "words", label: t("documents.byWords") }]} onChange={setBy} />
      }
    >
      <AskDocuments project={project} model={by === "model" ? newest : null} />
    </Card>
  );
}

/** A question to a model, or to keywords alone, with what they find. */
export function AskDocuments({ project, model }: { project: string; model: string | null }): ReactNode {
  const { t } = useTranslation();
  const [question, setQuestion] = useState("");
  const [asked, setAsked] = useState("");
  const test = useTestQuestion(project);
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    if (!question.trim()) return;
    setAsked(question.trim());
    test.mutate({ question: question.trim(), model });
  }
  return (
    <>
      <form onSubmit={submit} className={styles.ask}>
        <TextField label={t("documents.question")} value={question} maxLength={2000} placeholder={t("documents.questionExample")} onChange={(event) => setQuestion(event.target.value)} />
        <Button kind="primary" type="submit" icon="search" busy={test.isPending} disabled={!question.trim()}>
          {t("documents.ask")}
        </Button>
      </form>
      <Problem query={{ error: test.error }} />
      {test.data && <Found project={project} question={asked} tested={test.data} />}
    </>
  );
}

function Found({ project, question, tested }: { project: string; question: string; tested: Tested }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const toast = useToast();
  const add = useAddQuestion(project);
  const ids = useDocuments(project).data?.ids ?? [];
  const questions = useQuestions(project).data;
  const [kept, setKept] = useState<AskedRow | null>(null);
  const shares = { chance: tested.chance === null ? "" : formatShare(tested.chance), threshold: tested.threshold === null ? "" : formatShare(tested.threshold) };
  const told = () => toast({ text: t("documents.kept") });
  return (
    <div className={styles.found} aria-live="polite">
      <Notice
        tone={TONES[tested.verdict]}
        action={
          may && (
            <Button small busy={add.isPending} onClick={() => add.mutate({ question, text: null, document: "" }, { onSuccess: told })}>
              {t("documents.keepNone")}
            </Button>
          )
        }
      >
        {t(`documents.verdict.${tested.verdict}`, shares)}
      </Notice>
      <Problem query={{ error: add.error }} />
      <ol className={styles.considered}>
        {tested.passages.map((one, place) => (
          <li key={`${one.passage.document}#${one.passage.number}`} className={cx(place === 0 && styles.first)}>
            <Passage one={one} />
            {may && questions?.unreadable === 0 && (
              <Button small kind="quiet" icon="plus" onClick={() => setKept({ question, text: one.passage.text.slice(one.start, one.end), document: one.passage.document })}>
                {t("documents.keep")}
              </Button>
            )}
          </li>
        ))}
      </ol>
      {kept && questions && <EditQuestion project={project} rows={questions.rows} state={questions.state} place={questions.rows.length} start={kept} ids={ids} onSaved={told} onClose={() => setKept(null)} />}
    </div>
  );
}

/** A passage with the words that would be quoted, and how near it is. */
export function Passage({ one }: { one: Considered }): ReactNode {
  const { t } = useTranslation();
  const { passage, start, end } = one;
  return (
    <>
      <p className={styles.place}>{[passage.document, passage.heading || passage.title, passage.page === null ? "" : t("documents.page", { page: passage.page })].filter(Boolean).join(" · ")}</p>
      {passage.question && <p className={styles.asked}>{passage.question}</p>}
      <p className={styles.text}>
        {passage.text.slice(0, start)}
        <mark>{passage.text.slice(start, end)}</mark>
        {passage.text.slice(end)}
      </p>
      <dl className={styles.scores}>
        <Score name={t("documents.words")} value={one.keywords} />
        {one.meaning !== null && <Score name={t("documents.meaning")} value={one.meaning} />}
      </dl>
    </>
  );
}

function Score({ name, value }: { name: string; value: number }): ReactNode {
  const share = Math.max(0, Math.min(1, value));
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span className={styles.bar} aria-hidden="true">
          <span style={{ width: `${100 * share}%` }} />
        </span>
        <span className="numbers">{formatNumber(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 })}</span>
      </dd>
    </div>
  );
}
