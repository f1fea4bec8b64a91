import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useStep } from "../../api/queries";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Notice } from "../../ui/Feedback";
import { Switch, TextArea, TextField } from "../../ui/Field";
import { useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { shown } from "../data/ImportFile";
import { type Answer, type Answering, type TriedText, useCorrect } from "./queries";
import styles from "./Try.module.css";

interface Props {
  project: string;
  facts: Answering;
  text: TriedText;
  answer: Answer;
  may: boolean;
}

type Save = (output: unknown) => void;

/** Say what the right answer is: it goes into the data, for the next build to learn. */
export function Correct({ project, facts, text, answer, may }: Props): ReactNode {
  const { t } = useTranslation();
  const correct = useCorrect(project);
  const step = useStep(project);
  const toast = useToast();
  const [saved, setSaved] = useState(false);

  function save(output: unknown): void {
    correct.mutate(
      { text: text.text, second: text.second ?? null, output },
      {
        onSuccess: (made) => {
          setSaved(true);
          if (!made.version) toast({ text: t("try.known") });
          else toast({ text: made.added ? t("try.added") : t("try.relabelled", { count: made.relabelled }), action: { label: t("common.undo"), run: () => step.mutate("undo", { onSuccess: () => setSaved(false) }) } });
        },
      },
    );
  }

  return (
    <Card title={t("try.correct")} note={may ? t("try.correctAbout") : t("try.correctMayNot")}>
      <Problem query={{ error: correct.error ?? step.error }} />
      {saved ? (
        <Notice tone="good" action={<Link to={`/projects/${project}/build`}>{t("nav.build")}</Link>}>
          {t("try.saved")}
        </Notice>
      ) : (
        <fieldset className={styles.correct} disabled={!may || correct.isPending}>
          <legend className="visually-hidden">{t("try.correct")}</legend>
          <Editor facts={facts} text={text} answer={answer} save={save} />
        </fieldset>
      )}
    </Card>
  );
}

function Editor({ facts, text, answer, save }: { facts: Answering; text: TriedText; answer: Answer; save: Save }): ReactNode {
  switch (facts.shape) {
    case "label":
      return <LabelEditor facts={facts} answer={answer} save={save} />;
    case "labels":
      return <LabelsEditor facts={facts} answer={answer} save={save} />;
    case "spans":
      return <SpansEditor text={text} answer={answer} save={save} />;
    case "text":
      return <TextEditor start={answer.text} save={save} read={(value) => value} />;
    default:
      return <TextEditor start={typeof answer.output === "object" ? JSON.stringify(answer.output, null, 2) : shown(answer.output)} save={save} read={asJson} />;
  }
}

/** A value as JSON where it is JSON, else as it was typed. */
function asJson(value: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function LabelEditor({ facts, answer, save }: { facts: Answering; answer: Answer; save: Save }): ReactNode {
  const { t } = useTranslation();
  const near = answer.runners_up.map((other) => shown(other.output)).slice(0, 3);
  const others = facts.options.filter((label) => label !== answer.output);
  return (
    <div className={styles.choices}>
      <p>{t("try.shouldBe")}</p>
      {near.map((label) => (
        <Button key={label} small onClick={() => save(label)}>
          {label}
        </Button>
      ))}
      {others.length > near.length && (
        <select className={styles.other} aria-label={t("try.other")} value="" onChange={(event) => event.target.value && save(event.target.value)}>
          <option value="">{t("try.other")}</option>
          {others.map((label) => (
            <option key={label}>{label}</option>
          ))}
        </select>
      )}
      <Button small kind="quiet" icon="check" onClick={() => save(answer.output)}>
        {t("try.right")}
      </Button>
    </div>
  );
}

function LabelsEditor({ facts, answer, save }: { facts: Answering; answer: Answer; save: Save }): ReactNode {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<readonly string[]>(answer.output as string[]);
  return (
    <>
      <div className={styles.switches}>
        {facts.options.map((label) => (
          <Switch key={label} label={label} checked={chosen.includes(label)} onChange={(event) => setChosen(event.target.checked ? [...chosen, label] : chosen.filter((other) => other !== label))} />
        ))}
      </div>
      <Button onClick={() => save(chosen)}>{t("try.save")}</Button>
    </>
  );
}

function TextEditor({ start, save, read }: { start: string; save: Save; read: (value: string) => unknown }): ReactNode {
  const { t } = useTranslation();
  const [value, setValue] = useState(start);
  return (
    <>
      <TextArea label={t("try.rightAnswer")} value={value} rows={5} onChange={(event) => setValue(event.target.value)} />
      <Button disabled={!value.trim()} onClick={() => save(read(value))}>
        {t("try.save")}
      </Button>
    </>
  );
}

interface Found {
  text: string;
  label: string;
  start: number | null;
  end: number | null;
}

function SpansEditor({ text, answer, save }: { text: TriedText; answer: Answer; save: Save }): ReactNode {
  const { t } = useTranslation();
  const letters = Array.from(text.text);
  const [spans, setSpans] = useState<readonly Found[]>(answer.marks.map((mark) => ({ text: letters.slice(mark.start, mark.end).join(""), label: mark.label, start: mark.start, end: mark.end })));
  const change = (place: number, values: Partial<Found>) => setSpans(spans.map((span, other) => (other === place ? { ...span, ...values } : span)));
  const sent = () => spans.map(({ start, end, label, text: words }) => (start === null ? { text: words.trim(), label: label.trim() } : { start, end, label: label.trim() }));
  return (
    <>
      {spans.map((span, place) => (
        <div key={place} className={styles.spanRow}>
          <TextField label={t("try.words1")} value={span.text} onChange={(event) => change(place, { text: event.target.value, start: null, end: null })} />
          <TextField label={t("try.kind")} value={span.label} onChange={(event) => change(place, { label: event.target.value })} />
          <Button small icon="trash" onClick={() => setSpans(spans.filter((_, other) => other !== place))}>
            {t("common.delete")}
          </Button>
        </div>
      ))}
      <div className={styles.buttons}>
        <Button small icon="plus" onClick={() => setSpans([...spans, { text: "", label: answer.marks[0]?.label ?? "", start: null, end: null }])}>
          {t("try.addSpan")}
        </Button>
        <Button small kind="primary" disabled={spans.some((span) => !span.text.trim() || !span.label.trim())} onClick={() => save(sent())}>
          {t("try.save")}
        </Button>
      </div>
    </>
  );
}
