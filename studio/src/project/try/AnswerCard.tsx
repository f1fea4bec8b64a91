import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../../api/queries";
import { formatNumber, formatShare } from "../../i18n";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge } from "../../ui/Feedback";
import { shown } from "../data/ImportFile";
import { Correct } from "./Correct";
import type { Answer, Answering, TriedText } from "./queries";
import { segments } from "./segments";
import styles from "./Try.module.css";
import { Words } from "./Words";

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
  return (
    <>
      <Card title={t("try.answer")} note={speed ?? t("try.took", { ms: formatNumber(answer.seconds * 1000, { maximumSignificantDigits: 2 }) })}>
        <Output facts={facts} text={text} answer={answer} />
        <Decision facts={facts} answer={answer} />
        {answer.runners_up.length > 0 && (
          <div className={styles.runners}>
            <h3>{t("try.runnersUp")}</h3>
            <ul>
              {answer.runners_up.map((other) => (
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
      {answer.words && <Words text={text} words={answer.words} answer={answer.text} />}
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

function Output({ facts, text, answer }: Omit<Props, "project" | "speed">): ReactNode {
  const { t } = useTranslation();
  if (answer.output === null) return <p className={styles.output}>{t("try.noAnswer")}</p>;
  switch (facts.shape) {
    case "label":
      return <p className={styles.output}>{shown(answer.output)}</p>;
    case "labels":
      return <p className={styles.output}>{(answer.output as string[]).join(", ") || t("try.noLabel")}</p>;
    case "text":
      return <p className={styles.written}>{answer.text}</p>;
    case "spans":
      return <Marked text={text.text} answer={answer} />;
    case "fields":
      return (
        <>
          {answer.marks.length > 0 && <Marked text={text.text} answer={answer} list={false} />}
          <dl className={styles.fields}>
            {Object.entries(answer.output as Record<string, unknown>).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value === null ? <span className={styles.soft}>{t("try.notSaid")}</span> : shown(value)}</dd>
              </div>
            ))}
          </dl>
        </>
      );
    default:
      return <pre className={styles.output}>{shown(answer.output)}</pre>;
  }
}

function Marked({ text, answer, list = true }: { text: string; answer: Answer; list?: boolean }): ReactNode {
  const { t } = useTranslation();
  const kinds = [...new Set(answer.marks.map((mark) => mark.label))];
  const tone = (label: string) => styles[`kind${kinds.indexOf(label) % 4}`];
  const pieces = segments(text, answer.marks);
  return (
    <>
      <p className={styles.marked}>
        {pieces.map((piece, place) =>
          piece.place ? (
            <mark key={place} className={cx(styles.span, tone(piece.place.label))}>
              {piece.text}
              <small>{piece.place.label}</small>
            </mark>
          ) : (
            <span key={place}>{piece.text}</span>
          ),
        )}
      </p>
      {list && answer.marks.length === 0 && <p className={styles.soft}>{t("try.nothingFound")}</p>}
      {list && answer.marks.length > 0 && (
        <dl className={styles.fields}>
          {pieces.map(
            (piece, place) =>
              piece.place && (
                <div key={place}>
                  <dt>{piece.place.label}</dt>
                  <dd>
                    {piece.text} {piece.place.score !== null && <span className={cx(styles.soft, "numbers")}>{formatShare(piece.place.score)}</span>}
                  </dd>
                </div>
              ),
          )}
        </dl>
      )}
    </>
  );
}

function Decision({ facts, answer }: { facts: Answering; answer: Answer }): ReactNode {
  const { t } = useTranslation();
  const { point } = facts;
  const unscored = answer.facts["unscored"];
  if (typeof unscored === "string") return null;
  return (
    <div className={styles.decision}>
      <div className={styles.sure}>
        <Meter share={answer.score} threshold={point?.threshold} />
        <strong className="numbers">{t("try.sure", { share: formatShare(answer.score) })}</strong>
      </div>
      {answer.answers !== null && point && (
        <>
          <p>{answer.answers ? <Badge tone="good" icon="check">{t("try.answers")}</Badge> : <Badge tone="warn" icon="right">{t("try.passes")}</Badge>}</p>
          <p className={styles.soft}>{t("try.threshold", { threshold: formatShare(point.threshold), coverage: formatShare(point.coverage), risk: formatShare(point.risk, 1) })}</p>
        </>
      )}
    </div>
  );
}
