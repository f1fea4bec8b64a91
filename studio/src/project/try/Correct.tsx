import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useAnswerForm, useStep } from "../../api/queries";
import { AnswerEditor } from "../../ui/answer/AnswerEditor";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Notice, Skeleton } from "../../ui/Feedback";
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
          <Editor project={project} facts={facts} text={text} answer={answer} save={save} busy={correct.isPending} may={may} />
        </fieldset>
      )}
    </Card>
  );
}

function Editor({ project, facts, text, answer, save, busy, may }: Omit<Props, "may"> & { save: Save; busy: boolean; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const form = useAnswerForm(project);
  const structured = facts.shape === "fields" || facts.shape === "spans" || facts.shape === "labels";
  const [open, setOpen] = useState(!structured);
  if (facts.shape === "label") return <LabelEditor facts={facts} answer={answer} save={save} />;
  if (form.error) return <Problem query={form} />;
  if (!form.data) return <Skeleton label={t("common.loading")} />;
  if (!open) {
    return (
      <div className={styles.choices}>
        <Button icon="label" disabled={!may} onClick={() => setOpen(true)}>
          {t("try.putRight")}
        </Button>
        {answer.output !== null && (
          <Button kind="quiet" icon="check" disabled={!may} onClick={() => save(answer.output)}>
            {t("try.right")}
          </Button>
        )}
      </div>
    );
  }
  const known = facts.shape === "labels" ? { ...form.data, names: facts.options.map((name) => ({ name, rows: 0 })) } : form.data;
  return <AnswerEditor form={{ ...known, shape: facts.shape }} text={text.text} second={text.second} start={facts.shape === "text" ? answer.text : answer.output} save={save} saveLabel={t("try.save")} busy={busy} disabled={!may} />;
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
