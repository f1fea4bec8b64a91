import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button } from "../../ui/Button";
import { Choice } from "../../ui/Choice";
import { Skeleton } from "../../ui/Feedback";
import { Search, TextArea } from "../../ui/Field";
import { Dialog, useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import layout from "../../ui/Layout.module.css";
import styles from "./Conversations.module.css";
import { type TalkTurn, useJudge, useQuotes } from "./queries";

const WAYS = ["quote", "say", "person", "nothing"] as const;
type Way = (typeof WAYS)[number];

/** What the desk should have done at one of its turns. It waits in the list of corrections until somebody approves it. */
export function JudgeDialog({ project, conversation, turn, question, onClose }: { project: string; conversation: string; turn: TalkTurn; question: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const judge = useJudge(project, conversation);
  const toast = useToast();
  const [way, setWay] = useState<Way>("say");
  const [asked, setAsked] = useState(question);
  const [answer, setAnswer] = useState("");
  const [quote, setQuote] = useState<{ document: string; text: string } | null>(null);
  const ready = asked.trim() !== "" && (way === "say" ? answer.trim() !== "" : way === "quote" ? quote !== null : true);

  function save(): void {
    const right = { answer: way === "say" ? answer : "", document: way === "quote" && quote ? quote.document : "", quote: way === "quote" && quote ? quote.text : "" };
    judge.mutate(
      { turn: turn.id, kind: way, question: asked, ...right },
      {
        onSuccess: () => {
          toast({ text: t("talks.corrected") });
          onClose();
        },
      },
    );
  }

  return (
    <Dialog open wide onClose={onClose} title={t("talks.correctTitle")} about={t("talks.correctAbout")}>
      <form
        className={styles.judge}
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <blockquote className={styles.said}>{turn.text}</blockquote>
        <p>{t("talks.should")}</p>
        <Choice label={t("talks.should")} value={way} options={WAYS.map((name) => ({ value: name, label: t(`talks.way.${name}`) }))} onChange={setWay} />
        <p className={layout.soft}>{t(`talks.wayAbout.${way}`)}</p>
        <TextArea label={t("talks.asked")} help={t("talks.askedHelp")} rows={2} maxLength={2_000} value={asked} onChange={(event) => setAsked(event.target.value)} />
        {way === "say" && <TextArea label={t("talks.rightAnswer")} rows={3} maxLength={5_000} value={answer} onChange={(event) => setAnswer(event.target.value)} />}
        {way === "quote" && <QuotePicker project={project} question={asked} chosen={quote} onChoose={setQuote} />}
        <Problem query={{ error: judge.error }} />
        <div className={layout.row}>
          <Button type="submit" kind="primary" busy={judge.isPending} disabled={!ready}>
            {t("talks.keepCorrection")}
          </Button>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
        </div>
      </form>
    </Dialog>
  );
}

function QuotePicker({ project, question, chosen, onChoose }: { project: string; question: string; chosen: { document: string; text: string } | null; onChoose: (quote: { document: string; text: string }) => void }): ReactNode {
  const { t } = useTranslation();
  const [text, setText] = useState(question);
  const [wanted, setWanted] = useState(question);
  const quotes = useQuotes(project, wanted, wanted.trim() !== "");
  return (
    <fieldset className={styles.quotes}>
      <legend>{t("talks.findQuote")}</legend>
      <div className={styles.find}>
        <Search
          label={t("talks.findQuoteAbout")}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            setWanted(text);
          }}
        />
        <Button small onClick={() => setWanted(text)}>
          {t("talks.find")}
        </Button>
      </div>
      <Problem query={quotes} />
      {quotes.isFetching && <Skeleton label={t("common.loading")} lines={2} />}
      {quotes.data?.length === 0 && <p className={layout.soft}>{t("talks.noQuote")}</p>}
      {quotes.data?.map((quote) => (
        <label key={`${quote.document} ${quote.text}`} className={styles.quote}>
          <input type="radio" name="quote" checked={chosen?.text === quote.text && chosen.document === quote.document} onChange={() => onChoose(quote)} />
          <span>
            {quote.text}
            <small>{quote.title || quote.document}</small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
