import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber } from "../../i18n";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import type { Answer, TriedText } from "./queries";
import { heaviest, segments, strength } from "../../ui/answer/segments";
import styles from "./Try.module.css";

const TOLD = 5;

/** Which words mattered to an answer: marked in the text, with a legend, and the heaviest ones in words. */
export function Words({ text, words, answer }: { text: TriedText; words: NonNullable<Answer["words"]>; answer: string }): ReactNode {
  const { t } = useTranslation();
  const letters = [Array.from(text.text), Array.from(text.second ?? "")];
  const word = (weight: (typeof words.weights)[number]) => (letters[weight.second ? 1 : 0] ?? []).slice(weight.start, weight.end).join("");
  const points = (fall: number) => formatNumber(-fall * 100, { maximumFractionDigits: 0, signDisplay: "exceptZero" });
  const told = heaviest(words.weights, TOLD).map((weight) => t("try.word", { word: word(weight), points: points(weight.fall) }));
  return (
    <Card title={t("try.words")} note={words.each > 1 ? t("try.wordsTogether", { each: words.each }) : t("try.wordsAbout")}>
      {[text.text, ...(text.second ? [text.second] : [])].map((part, which) => (
        <p key={which} className={styles.marked}>
          {segments(
            part,
            words.weights.filter((weight) => weight.second === (which === 1)),
          ).map((piece, place) => {
            if (!piece.place) return <span key={place}>{piece.text}</span>;
            const share = strength(piece.place, words.weights);
            if (share === 0) return <span key={place}>{piece.text}</span>;
            return (
              <mark
                key={place}
                className={cx(styles.word, share > 0 ? styles.for : styles.against)}
                style={{ "--share": `${Math.round(Math.abs(share) * 100)}%` } as React.CSSProperties}
                title={t("try.points", { points: points(piece.place.fall) })}
              >
                {piece.text}
              </mark>
            );
          })}
        </p>
      ))}
      <p className={styles.legend}>
        <span>
          <mark className={cx(styles.word, styles.for)}>{t("try.for")}</mark> {t("try.forAbout", { answer })}
        </span>
        <span>
          <mark className={cx(styles.word, styles.against)}>{t("try.against")}</mark> {t("try.againstAbout")}
        </span>
      </p>
      <p className={styles.soft}>{told.length > 0 ? t("try.wordsTold", { words: told.join(", ") }) : t("try.wordsNone")}</p>
    </Card>
  );
}
