import { type ReactNode, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button, IconButton } from "../Button";
import { cx } from "../cx";
import { TextField } from "../Field";
import styles from "./Answer.module.css";
import { type EditorProps, SaveBar } from "./SaveBar";
import { placesOf, type Span, wordsAt } from "./answers";
import { hue, MarkedText, selectedIn } from "./MarkedText";

/** Mark words in a text: select them, then say what they are. By keyboard, one types the words. */
export function SpansEditor({ form, text, second, start, save, onFields, ...bar }: EditorProps & { start: readonly Span[]; onFields?: (() => void) | undefined }): ReactNode {
  const { t } = useTranslation();
  const place = useRef<HTMLParagraphElement>(null);
  const [spans, setSpans] = useState<readonly Span[]>(start.map(({ start: from, end, label }) => ({ start: from, end, label })));
  const [chosen, setChosen] = useState<{ start: number; end: number } | null>(null);
  const [typed, setTyped] = useState("");
  const [kind, setKind] = useState("");
  const kinds = [...new Set([...form.names.map((known) => known.name), ...spans.map((span) => span.label)])];
  const typedPlace = typed.trim() === "" ? null : (placesOf(text, [["", typed]])[0] ?? undefined);
  const wanted = chosen ?? typedPlace ?? null;

  function add(label: string): void {
    if (wanted === null || label.trim() === "") return;
    const { start: from, end } = wanted;
    const others = spans.filter((span) => span.end <= from || end <= span.start);
    setSpans([...others, { start: from, end, label: label.trim() }].sort((one, other) => one.start - other.start));
    setChosen(null);
    setTyped("");
    setKind("");
    window.getSelection()?.removeAllRanges();
  }

  return (
    <div className={styles.editor}>
      <MarkedText refer={place} text={text} marks={spans} names={kinds} onSelected={() => !bar.disabled && setChosen(selectedIn(place.current))} box />
      {second && <p className={cx(styles.marked, styles.box)}>{second}</p>}
      {chosen ? (
        <p aria-live="polite">
          {t("answer.selected")} <strong>{wordsAt(text, chosen)}</strong>{" "}
          <Button small kind="quiet" onClick={() => setChosen(null)}>
            {t("answer.otherWords")}
          </Button>
        </p>
      ) : (
        <TextField label={t("answer.words")} help={t("answer.wordsHelp")} error={typedPlace === undefined ? t("answer.notInText") : undefined} value={typed} disabled={bar.disabled} onChange={(event) => setTyped(event.target.value)} />
      )}
      {wanted !== null && (
        <div className={styles.add}>
          {kinds.length > 0 && (
            <div className={styles.kinds} role="group" aria-label={t("answer.whatIsIt")}>
              {kinds.map((name, number) => (
                <button key={name} type="button" className={styles.kind} style={hue(number)} onClick={() => add(name)}>
                  <i className={styles.dot} aria-hidden="true" />
                  {name}
                </button>
              ))}
            </div>
          )}
          <TextField label={t(kinds.length > 0 ? "answer.newKind" : "answer.whatIsIt")} placeholder={t("answer.kindExample")} value={kind} maxLength={80} onChange={(event) => setKind(event.target.value)} />
          <Button icon="plus" disabled={kind.trim() === ""} onClick={() => add(kind)}>
            {t("answer.mark")}
          </Button>
        </div>
      )}
      {spans.length > 0 && (
        <ul className={styles.spans} aria-label={t("answer.marked")}>
          {spans.map((span) => (
            <li key={`${span.start}-${span.end}`}>
              <i className={styles.dot} style={hue(kinds.indexOf(span.label))} aria-hidden="true" />
              <span className={styles.soft}>{span.label}</span>
              <strong>{wordsAt(text, span)}</strong>
              <IconButton small icon="close" label={t("answer.unmark", { words: wordsAt(text, span) })} disabled={bar.disabled} onClick={() => setSpans(spans.filter((other) => other !== span))} />
            </li>
          ))}
        </ul>
      )}
      {onFields && (
        <p className={styles.soft}>
          {t("answer.orFields")}{" "}
          <button type="button" className={styles.link} onClick={onFields}>
            {t("answer.fillFields")}
          </button>
        </p>
      )}
      <SaveBar {...bar} save={() => save(spans)} />
    </div>
  );
}
