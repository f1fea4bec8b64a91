import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { pointFigures } from "../../api/operatingPoint";
import { useAnswerForm, useMay } from "../../api/queries";
import { formatNumber, formatShare } from "../../i18n";
import { lineOf } from "../../ui/answer/answers";
import { AnswerView, useWords } from "../../ui/answer/AnswerView";
import { Card } from "../../ui/Card";
import { CodeBlock } from "../../ui/Code";
import { Badge, Notice } from "../../ui/Feedback";
import { Highlighted } from "../../ui/Highlighted";
import { shown } from "../data/ImportFile";
import { Correct } from "./Correct";
import type { Answer, Answering, TriedText } from "./queries";
import { strangeNumbers } from "./strangeNumbers";
import styles from "./Try.module.css";
import { Words } from "./Words";

/** The least score of another answer that is worth showing. */
const LEAST = 0.005;

interface Props {
  project: string;
  facts: Answering;
  text: TriedText;
  answer: Answer;
  speed?: string | undefined;
}

/** An answer: what it says, how sure it is, what else was likely, which words mattered, and how to correct it. */
export function AnswerCard({ project, facts, text, answer, speed }: Props): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const form = useAnswerForm(project).data;
  const words = useWords();
  const likely = answer.runners_up.filter((other) => other.score >= LEAST);
  const names = form === undefined ? undefined : form.shape === "fields" ? form.fields.map((field) => field.path) : form.names.map((known) => known.name);
  return (
    <>
      <Card title={t("try.answer")} note={speed ?? t("try.took", { ms: formatNumber(answer.seconds * 1000, { maximumSignificantDigits: 2 }) })}>
        <Output facts={facts} text={text} answer={answer} names={names} />
        <Facts given={text.text} answer={answer} />
        <Decision facts={facts} answer={answer} />
        {likely.length > 0 && (
          <div className={styles.runners}>
            <h3>{t("try.runnersUp")}</h3>
            <ul>
              {likely.map((other) => (
                <li key={shown(other.output)}>
                  <span>{shown(other.output)}</span>
                  <Meter share={other.score} />
                  <span className="numbers">{formatShare(other.score)}</span>
                </li>
              ))}
            </ul>
          </div>
        )}
      </Card>
      {answer.words && <Words text={text} words={answer.words} answer={lineOf(answer.output, text.text, words) || answer.text} />}
      <Correct key={JSON.stringify([text, answer.output])} project={project} facts={facts} text={text} answer={answer} may={may} />
    </>
  );
}

function Meter({ share, threshold }: { share: number; threshold?: number | undefined }): ReactNode {
  return (
    <span className={styles.meter} aria-hidden="true">
      <span style={{ width: `${share * 100}%` }} />
      {threshold !== undefined && <i style={{ left: `${threshold * 100}%` }} />}
    </span>
  );
}

function Output({ facts, text, answer, names }: Omit<Props, "project" | "speed"> & { names: readonly string[] | undefined }): ReactNode {
  const { t } = useTranslation();
  if (answer.output === null) {
    const refused = answer.facts["refused"];
    return (
      <>
        <p className={styles.output}>{t("try.noAnswer")}</p>
        {typeof refused === "string" && <p className={styles.soft}>{t("try.refused", { why: refused })}</p>}
      </>
    );
  }
  if (facts.shape === "label") return <p className={styles.output}>{shown(answer.output)}</p>;
  if (facts.shape === "text") {
    return (
      <p className={styles.written}>
        <Highlighted text={answer.text} phrases={told(answer, "unsupported").map((one) => one.value)} tone="bad" />
      </p>
    );
  }
  const scores = answer.facts["scores"];
  const structured = facts.shape === "fields" || facts.shape === "spans";
  return (
    <>
      <AnswerView value={answer.output} text={text.text} marks={answer.marks} names={names} scores={facts.shape === "fields" ? (scores as Record<string, number> | undefined) : undefined} empty={facts.shape} />
      {structured && (
        <details className={styles.raw}>
          <summary>{t("try.asJson")}</summary>
          <CodeBlock code={JSON.stringify(answer.output, null, 2)} label={t("try.asJson")} copy />
        </details>
      )}
    </>
  );
}

interface Attribute {
  key: string;
  value: string;
}

/** The attributes that a written text leaves out, or makes up; empty where none were checked. */
function told(answer: Answer, name: "missing" | "unsupported"): readonly Attribute[] {
  return (answer.facts[name] as readonly Attribute[] | undefined) ?? [];
}

/** What the check of the facts found, in words. */
function Facts({ given, answer }: { given: string; answer: Answer }): ReactNode {
  const { t } = useTranslation();
  if (answer.facts["finished"] === false) return <Notice tone="warn">{t("try.cutOff")}</Notice>;
  if (!("missing" in answer.facts)) return null;
  const [missing, unsupported] = [told(answer, "missing"), told(answer, "unsupported")];
  const strange = strangeNumbers(given, answer.text);
  if (missing.length + unsupported.length + strange.length === 0) {
    return (
      <p>
        <Badge tone="good" icon="check">
          {t("try.factsKept")}
        </Badge>
      </p>
    );
  }
  const listed = (found: readonly Attribute[]) => found.map((one) => `${one.key}: ${one.value}`).join(", ");
  return (
    <ul className={styles.faults}>
      {missing.length > 0 && (
        <li>
          <Badge tone="warn" icon="warning">
            {t("try.leavesOut", { what: listed(missing) })}
          </Badge>
        </li>
      )}
      {strange.length > 0 && (
        <li>
          <Badge tone="bad" icon="warning">
            {t("try.strangeNumbers", { numbers: strange.join(", ") })}
          </Badge>
        </li>
      )}
      {unsupported.length > 0 && (
        <li>
          <Badge tone="bad" icon="warning">
            {t("try.makesUp", { what: listed(unsupported) })}
          </Badge>
        </li>
      )}
    </ul>
  );
}

function Decision({ facts, answer }: { facts: Answering; answer: Answer }): ReactNode {
  const { t } = useTranslation();
  const { point } = facts;
  const writes = facts.shape === "text";
  const unscored = answer.facts["unscored"];
  if (typeof unscored === "string") return null;
  return (
    <div className={styles.decision}>
      {facts.fitted ? (
        <div className={styles.sure}>
          <Meter share={answer.score} threshold={point?.threshold ?? undefined} />
          <strong className="numbers">{writes ? t("try.scoreIs", { score: formatNumber(answer.score, { maximumFractionDigits: 2 }) }) : t("try.sure", { share: formatShare(answer.score) })}</strong>
        </div>
      ) : (
        <p className={styles.soft}>{t("try.unfitted")}</p>
      )}
      {answer.answers !== null && point && (
        <>
          <p>{answer.answers ? <Badge tone="good" icon="check">{t(writes ? "try.goesOut" : "try.answers")}</Badge> : <Badge tone="warn" icon="right">{t(writes ? "try.readFirst" : "try.passes")}</Badge>}</p>
          <p className={styles.soft}>{t(writes ? "try.thresholdWrite" : "try.threshold", pointFigures(point))}</p>
        </>
      )}
    </div>
  );
}
