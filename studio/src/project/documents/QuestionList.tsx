import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { Search, Select, TextArea } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import layout from "../../ui/Layout.module.css";
import styles from "./Documents.module.css";
import { type AskedRow, useQuestions, useSaveQuestions } from "./queries";

const LEAST = 20;
const SHOWN = 15;

/** The questions that people ask, which teach and measure the model: each with the words that answer, or without an answer. */
export function QuestionList({ project, ids }: { project: string; ids: readonly string[] }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const questions = useQuestions(project);
  const [most, setMost] = useState(SHOWN);
  const [wanted, setWanted] = useState("");
  const [edited, setEdited] = useState<number | null>(null);
  const rows = questions.data?.rows ?? [];
  const shown = rows.map((row, place) => ({ row, place })).filter(({ row }) => !wanted || `${row.question} ${row.text ?? ""}`.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <Card
      title={t("documents.questions")}
      note={t("documents.questionsAbout")}
      actions={
        may && (
          <Button small icon="plus" disabled={!questions.data || questions.data.unreadable > 0} onClick={() => setEdited(rows.length)}>
            {t("documents.addQuestion")}
          </Button>
        )
      }
    >
      <Problem query={questions} />
      {!questions.data && !questions.error && <Skeleton label={t("common.loading")} lines={3} />}
      {questions.data && questions.data.unreadable > 0 && <Notice tone="warn">{t("documents.unreadable", { count: questions.data.unreadable })}</Notice>}
      {questions.data && rows.length < LEAST && <Notice>{t("documents.fewQuestions", { count: rows.length, least: LEAST })}</Notice>}
      {rows.length > SHOWN && <Search label={t("documents.search")} value={wanted} onChange={(event) => setWanted(event.target.value)} />}
      <ul className={layout.lines}>
        {shown.slice(0, most).map(({ row, place }) => (
          <li key={place}>
            <div>
              <strong>{row.question}</strong>
              {row.text === null ? <Badge tone="warn">{t("documents.notThere")}</Badge> : <p>{row.text}</p>}
              {row.text !== null && row.document && <p className={styles.place}>{row.document}</p>}
            </div>
            {may && questions.data?.unreadable === 0 && <IconButton icon="pencil" small label={t("documents.edit", { question: row.question })} onClick={() => setEdited(place)} />}
          </li>
        ))}
      </ul>
      {shown.length > most && (
        <Button kind="quiet" onClick={() => setMost(most + 100)}>
          {t("documents.moreQuestions", { count: shown.length - most, shown: formatNumber(shown.length - most) })}
        </Button>
      )}
      {edited !== null && questions.data && <EditQuestion project={project} rows={rows} state={questions.data.state} place={edited} ids={ids} onClose={() => setEdited(null)} />}
    </Card>
  );
}

interface EditProps {
  project: string;
  rows: readonly AskedRow[];
  state: string;
  /** Its place in the rows; at their end for a new one. */
  place: number;
  /** A new one as it begins. */
  start?: AskedRow;
  ids: readonly string[];
  onSaved?: () => void;
  onClose: () => void;
}

/** Add a question, or change one. */
export function EditQuestion({ project, rows, state, place, start, ids, onSaved, onClose }: EditProps): ReactNode {
  const { t } = useTranslation();
  const save = useSaveQuestions(project);
  const old = rows[place];
  const first = old ?? start;
  const [question, setQuestion] = useState(first?.question ?? "");
  const [text, setText] = useState(first?.text ?? "");
  const [document, setDocument] = useState(first ? (first.text === null ? NONE : first.document) : "");
  const row: AskedRow = { question: question.trim(), text: document === NONE ? null : text.trim(), document: document === NONE ? "" : document };
  const put = (next: AskedRow[]) =>
    save.mutate(
      { rows: next, state },
      {
        onSuccess: () => {
          onSaved?.();
          onClose();
        },
      },
    );
  const options = [{ value: "", label: t("documents.anyDocument") }, { value: NONE, label: t("documents.notThere") }, ...[...new Set([...ids, ...(row.document ? [row.document] : [])])].map((id) => ({ value: id, label: id }))];
  return (
    <Dialog open onClose={onClose} title={t(old ? "documents.editTitle" : "documents.addQuestion")} about={t("documents.editAbout")}>
      <TextArea label={t("documents.question")} rows={2} maxLength={2000} value={question} onChange={(event) => setQuestion(event.target.value)} />
      <Select label={t("documents.where")} value={document} options={options} onChange={(event) => setDocument(event.target.value)} />
      {document !== NONE && <TextArea label={t("documents.answer")} help={t("documents.answerHelp")} rows={3} maxLength={20000} value={text} onChange={(event) => setText(event.target.value)} />}
      <Problem query={save} />
      <div className={layout.apart}>
        <Button kind="primary" busy={save.isPending} disabled={!row.question || (document !== NONE && !row.text)} onClick={() => put([...rows.slice(0, place), row, ...rows.slice(place + 1)])}>
          {t("common.save")}
        </Button>
        {old && (
          <Button kind="danger" icon="trash" disabled={save.isPending} onClick={() => put([...rows.slice(0, place), ...rows.slice(place + 1)])}>
            {t("common.delete")}
          </Button>
        )}
      </div>
    </Dialog>
  );
}

const NONE = "\u0000none";
