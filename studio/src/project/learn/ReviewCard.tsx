import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { useAnswerForm, useLabels, useMay } from "../../api/queries";
import { formatNumber, formatShare } from "../../i18n";
import { AnswerEditor } from "../../ui/answer/AnswerEditor";
import type { AnswerForm } from "../../ui/answer/answers";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Empty, Skeleton } from "../../ui/Feedback";
import { Select, TextArea } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { answerText } from "../run/answers";
import styles from "./Learn.module.css";
import { type Captured, useQueue, useReview } from "./queries";
import { startOf, suggestionsFor } from "./suggestions";

const KEYS = 9;
const LONGEST_LABEL = 80;

/** One request after the other: its right answer by one key or one click. */
export function ReviewCard({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const queue = useQueue(project);
  const review = useReview(project);
  const [gone, setGone] = useState<ReadonlySet<string>>(new Set());
  const next = queue.data?.requests.find((request) => !gone.has(request.id));
  const waiting = queue.data?.waiting ?? 0;

  function decide(request: Captured, decision: { output: unknown } | { skip: true }): void {
    setGone((before) => new Set(before).add(request.id));
    review.mutate({ request: request.id, ...decision }, { onError: () => setGone((before) => new Set([...before].filter((id) => id !== request.id))) });
  }

  return (
    <Card title={t("learn.review")} note={waiting > 0 ? t("learn.waiting", { count: waiting, waiting: formatNumber(waiting) }) : t("learn.reviewAbout")} actions={(queue.data?.done ?? 0) > 0 && <Badge tone="good" icon="check">{t("learn.done", { done: formatNumber(queue.data?.done ?? 0) })}</Badge>}>
      <Problem query={queue} />
      <Problem query={{ error: review.error }} />
      {!queue.data && !queue.error && <Skeleton label={t("common.loading")} lines={3} />}
      {queue.data && !next && (waiting > 0 ? <Skeleton label={t("common.loading")} lines={3} /> : (
        <Empty icon="check" title={queue.data.done > 0 ? t("learn.allDone") : t("learn.noneYet")} actions={<ButtonLink to={`/projects/${project}/run`}>{t("nav.run")}</ButtonLink>}>
          {queue.data.done > 0 ? t("learn.allDoneAbout") : t("learn.noneYetAbout")}
        </Empty>
      ))}
      {next && <One key={next.id} project={project} request={next} onAnswer={(output) => decide(next, { output })} onSkip={() => decide(next, { skip: true })} />}
    </Card>
  );
}

interface OneProps {
  project: string;
  request: Captured;
  onAnswer: (output: unknown) => void;
  onSkip: () => void;
}

function One({ project, request, onAnswer, onSkip }: OneProps): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const form = useAnswerForm(project);
  const labels = useLabels(project, form.data?.shape === "label");
  if (form.data && form.data.shape !== "label") return <ByForm form={form.data} request={request} may={may} onAnswer={onAnswer} onSkip={onSkip} />;
  if (!labels.data) return <Skeleton label={t("common.loading")} lines={2} />;
  const answers = labels.data.map((found) => found.output).filter((output) => output !== null);
  const named = answers.filter((output): output is string => typeof output === "string" && output.length <= LONGEST_LABEL);
  const byLabel = named.length === answers.length && (answers.length === 0 ? request.local_output === null || request.local_output.startsWith('"') : new Set(named).size < 300);
  return (
    <div className={styles.one}>
      <p className={styles.text}>{request.input}</p>
      <Why request={request} />
      {byLabel ? <ByLabel request={request} names={named} may={may} onAnswer={onAnswer} onSkip={onSkip} /> : <ByText request={request} may={may} onAnswer={onAnswer} onSkip={onSkip} />}
    </div>
  );
}

function Why({ request, graded = false }: { request: Captured; graded?: boolean }): ReactNode {
  const { t } = useTranslation();
  const why = request.corrected !== null || request.verdict === "down" ? t("learn.corrected") : t(`run.why.${request.why.replaceAll(" ", "_")}`, { defaultValue: request.why });
  const sure = request.local_score !== null && answerText(request.local_output) !== "" && (graded ? t("try.scoreIs", { score: formatNumber(request.local_score, { maximumFractionDigits: 2 }) }) : t("learn.score", { score: formatShare(request.local_score) }));
  return <p className={styles.soft}>{[why, sure, request.altered && t("run.altered")].filter(Boolean).join(" · ")}</p>;
}

/** An answer of fields, marks, several labels or a text: what somebody said about this text stands in the form already. */
function ByForm({ form, request, may, onAnswer, onSkip }: AnswerProps & { form: AnswerForm }): ReactNode {
  const { t } = useTranslation();
  const said = suggestionsFor(request, [])[0];
  const start = said === undefined ? null : startOf(form.shape, said.answer);
  return (
    <div className={styles.one}>
      {(form.shape === "text" || form.shape === "labels" || form.shape === "value") && <p className={styles.text}>{request.input}</p>}
      <Why request={request} graded={form.shape === "text"} />
      {said && <p className={styles.soft}>{t(`learn.startsWith.${said.by}`)}</p>}
      <AnswerEditor
        form={form}
        text={request.input ?? ""}
        start={start}
        disabled={!may}
        save={onAnswer}
        saveLabel={t("learn.take")}
        more={
          <>
            <Button kind="quiet" disabled={!may} onClick={onSkip}>
              {t("learn.skip")}
            </Button>
            {!may && <span className={styles.soft}>{t("learn.mayNot")}</span>}
          </>
        }
      />
    </div>
  );
}

interface AnswerProps extends Omit<OneProps, "project"> {
  may: boolean;
}

function ByLabel({ request, names, may, onAnswer, onSkip }: AnswerProps & { names: readonly string[] }): ReactNode {
  const { t } = useTranslation();
  const suggestions = suggestionsFor(request, names);
  const shown = suggestions.slice(0, KEYS);
  const rest = suggestions.slice(KEYS);
  useEffect(() => {
    if (!may) return;
    function press(event: KeyboardEvent): void {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
      const chosen = shown[Number(event.key) - 1];
      if (chosen) onAnswer(chosen.answer);
      else if (event.key.toLowerCase() === "s") onSkip();
    }
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  });
  return (
    <>
      <div className={styles.answers}>
        {shown.map((suggestion, place) => (
          <button key={suggestion.answer} type="button" className={styles.answer} disabled={!may} onClick={() => onAnswer(suggestion.answer)}>
            <kbd>{place + 1}</kbd>
            <span>{suggestion.answer}</span>
            {suggestion.by !== "data" && <small>{[t(`learn.by.${suggestion.by}`), !names.includes(suggestion.answer) && t("learn.newAnswer")].filter(Boolean).join(" · ")}</small>}
          </button>
        ))}
      </div>
      <div className={styles.foot}>
        {rest.length > 0 && (
          <Select
            label={t("learn.others")}
            value=""
            disabled={!may}
            options={[{ value: "", label: t("learn.choose") }, ...rest.map((one) => ({ value: one.answer, label: one.answer }))]}
            onChange={(event) => event.target.value !== "" && onAnswer(event.target.value)}
          />
        )}
        <Button small kind="quiet" disabled={!may} onClick={onSkip}>
          {t("learn.skip")} <kbd>S</kbd>
        </Button>
        {!may && <span className={styles.soft}>{t("learn.mayNot")}</span>}
      </div>
    </>
  );
}

function ByText({ request, may, onAnswer, onSkip }: AnswerProps): ReactNode {
  const { t } = useTranslation();
  const [text, setText] = useState(() => suggestionsFor(request, [])[0]?.answer ?? "");
  return (
    <>
      <TextArea label={t("learn.rightAnswer")} value={text} onChange={(event) => setText(event.target.value)} />
      <div className={styles.foot}>
        <Button kind="primary" icon="check" disabled={!may || text.trim() === ""} onClick={() => onAnswer(text)}>
          {t("learn.take")}
        </Button>
        <Button kind="quiet" disabled={!may} onClick={onSkip}>
          {t("learn.skip")}
        </Button>
        {!may && <span className={styles.soft}>{t("learn.mayNot")}</span>}
      </div>
    </>
  );
}
