import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatShare } from "../../i18n";
import { cx } from "../cx";
import { Badge } from "../Feedback";
import styles from "./Answer.module.css";
import { entriesOf, type Fields, isEmpty, isFields, lineOf, type Mark, placesOf, sameValue, type Shape, shapeOf, spansOf, valueAt, valueText, type Words, wordsAt } from "./answers";
import { hue, MarkedText } from "./MarkedText";

/** The words for a field that is true or false. */
export function useWords(): Words {
  const { t } = useTranslation();
  return { yes: t("answer.yes"), no: t("answer.no") };
}

/** An answer in one line, for tables and lists. */
export function AnswerLine({ value, text, empty }: { value: unknown; text: string; empty?: Shape | undefined }): ReactNode {
  const { t } = useTranslation();
  const words = useWords();
  if (value === null || value === undefined) return <span className={styles.soft}>{t("answer.none")}</span>;
  const line = lineOf(value, text, words);
  return line === "" ? <span className={styles.soft}>{t(shapeOf(value, empty) === "labels" ? "answer.noLabel" : "answer.nothing")}</span> : line;
}

interface ViewProps {
  value: unknown;
  /** The text that it answers, to show where the text says it. */
  text: string;
  /** Places that a model found; without them, the words of the values are searched. */
  marks?: readonly Mark[] | undefined;
  /** Kinds or fields in the order that gives their colours. */
  names?: readonly string[] | undefined;
  /** Probability of each field's value, by path. */
  scores?: Readonly<Record<string, number>> | undefined;
  empty?: Shape | undefined;
  /** Without the text: it stands beside the answer already. */
  bare?: boolean;
}

/** An answer as a person reads it: labels, places marked in the text with a list of them, or a table of fields and values. */
export function AnswerView({ value, text, marks, names, scores, empty, bare = false }: ViewProps): ReactNode {
  const { t } = useTranslation();
  const words = useWords();
  if (value === null || value === undefined) return <p className={styles.soft}>{t("answer.none")}</p>;
  switch (shapeOf(value, empty)) {
    case "label":
      return <p className={cx(styles.text, valueText(value, words).length < 80 && styles.label)}>{valueText(value, words)}</p>;
    case "labels":
      return (value as string[]).length === 0 ? (
        <p className={styles.soft}>{t("answer.noLabel")}</p>
      ) : (
        <p className={styles.badges}>
          {(value as string[]).map((label) => (
            <Badge key={label} tone="accent">
              {label}
            </Badge>
          ))}
        </p>
      );
    case "spans": {
      const spans: readonly Mark[] = marks ?? spansOf(value);
      const kinds = names ?? [...new Set(spans.map((span) => span.label))];
      return (
        <div className={styles.view}>
          {!bare && <MarkedText text={text} marks={spans} names={kinds} box />}
          {spans.length === 0 && <p className={styles.soft}>{t("answer.nothing")}</p>}
          <Pairs entries={spans.map((span) => ({ name: span.label, hue: kinds.indexOf(span.label), value: wordsAt(text, span), score: span.score ?? null }))} />
        </div>
      );
    }
    case "fields": {
      const entries = entriesOf(value as Fields);
      const paths = names?.length ? names : entries.map(([path]) => path);
      const places = marks?.length ? marks : placesOf(text, entries);
      return (
        <div className={styles.view}>
          {!bare && places.length > 0 && <MarkedText text={text} marks={places} names={paths} box />}
          <Pairs
            entries={entries.map(([path, one]) => ({
              name: path,
              hue: places.some((place) => place.label === path) ? paths.indexOf(path) : null,
              value: isEmpty(one) ? null : valueText(one, words),
              score: scores?.[path] ?? null,
            }))}
          />
        </div>
      );
    }
    default:
      return <p className={styles.text}>{valueText(value, words)}</p>;
  }
}

interface Pair {
  name: string;
  hue: number | null;
  value: string | null;
  score: number | null;
}

function Pairs({ entries }: { entries: readonly Pair[] }): ReactNode {
  const { t } = useTranslation();
  if (entries.length === 0) return null;
  return (
    <dl className={styles.pairs}>
      {entries.map((entry, place) => (
        <div key={place}>
          <dt>
            {entry.hue !== null && <i className={styles.dot} style={hue(entry.hue)} aria-hidden="true" />}
            {entry.name}
          </dt>
          <dd>
            {entry.value ?? <span className={styles.soft}>{t("answer.notSaid")}</span>}
            {entry.value !== null && entry.score !== null && <span className={cx(styles.score, "numbers")}>{formatShare(entry.score)}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** What a model said beside what is right: a row for each field, those that differ marked. */
export function AnswersBeside({ said, wanted, text }: { said: unknown; wanted: unknown; text: string }): ReactNode {
  const { t } = useTranslation();
  const words = useWords();
  const rows = besideRows(said, wanted, text, words);
  if (rows === null) return null;
  return (
    <div className={styles.wide} tabIndex={0} role="region" aria-label={t("answer.beside")}>
      <table className={styles.beside}>
        <thead>
          <tr>
            <th scope="col">{t("answer.field")}</th>
            <th scope="col">{t("answer.said")}</th>
            <th scope="col">{t("answer.wanted")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, place) => (
            <tr key={place} className={cx(!row.same && styles.differs)}>
              <th scope="row">{row.name}</th>
              <td>{row.said || <span className={styles.soft}>{t("answer.notSaid")}</span>}</td>
              <td>{row.wanted || <span className={styles.soft}>{t("answer.notSaid")}</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface Beside {
  name: string;
  said: string;
  wanted: string;
  same: boolean;
}

/** The rows of two answers side by side; null where they are neither fields nor spans. */
function besideRows(said: unknown, wanted: unknown, text: string, words: Words): readonly Beside[] | null {
  if (isFields(wanted) || isFields(said)) {
    const paths = [...new Set([...(isFields(wanted) ? entriesOf(wanted) : []), ...(isFields(said) ? entriesOf(said) : [])].map(([path]) => path))];
    return paths.map((path) => {
      const [one, other] = [valueAt(said, path), valueAt(wanted, path)];
      return { name: path, said: valueText(one, words), wanted: valueText(other, words), same: sameValue(one, other) };
    });
  }
  const [found, right] = [spansOf(said), spansOf(wanted)];
  if (found.length + right.length === 0) return null;
  const key = (span: { start: number; end: number; label: string }) => `${span.label} ${span.start} ${span.end}`;
  const places = new Map([...right, ...found].map((span) => [key(span), span]));
  const has = (all: readonly { start: number; end: number; label: string }[], id: string) => all.some((span) => key(span) === id);
  return [...places].sort(([, one], [, other]) => one.start - other.start).map(([id, span]) => {
    const [inSaid, inWanted] = [has(found, id), has(right, id)];
    return { name: span.label, said: inSaid ? wordsAt(text, span) : "", wanted: inWanted ? wordsAt(text, span) : "", same: inSaid && inWanted };
  });
}
