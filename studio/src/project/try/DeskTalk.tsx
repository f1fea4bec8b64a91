import { type ReactNode, type SubmitEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation } from "@tanstack/react-query";

import { formatShare } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge, Notice, type Tone } from "../../ui/Feedback";
import { TextField } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { type Answer, answerTexts } from "./queries";
import styles from "./TryFiles.module.css";

interface Said {
  text: string;
  answer?: Answer;
}

interface Citation {
  document: string;
  title: string;
  text: string;
  heading?: string;
  page?: number | null;
  passage?: string;
}

interface DeskCard {
  kind: string;
  title: string;
  items: Record<string, unknown>[];
}

interface Proposed {
  tool: string;
  words: string;
}

const TONES: Record<string, Tone> = { answered: "good", asked: "accent", proposed: "accent", done: "good", handed_over: "warn", unanswered: "warn", failed: "bad" };
/** Messages of a customer that one conversation may have here. */
const MOST = 40;

/** A conversation with a desk, as a customer would have it. Nothing is changed: calls are only told. */
export function DeskTalk({ project, model }: { project: string; model: string }): ReactNode {
  const { t, i18n } = useTranslation();
  const [said, setSaid] = useState<readonly Said[]>([]);
  const [text, setText] = useState("");
  const log = useRef<HTMLDivElement>(null);
  const ask = useMutation({
    mutationFn: async (asked: { text: string; earlier: string[] }) => (await answerTexts(project, model, [asked], false, i18n.language))[0] as Answer,
    onSuccess: (answer) => setSaid((before) => [...before, { text: answer.text, answer }]),
  });
  const full = said.filter((one) => !one.answer).length >= MOST;

  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [said]);

  function send(message: string): void {
    if (!message.trim() || ask.isPending || full) return;
    // Read here: once the message stands in the conversation, it would be taken for an earlier one, too.
    const earlier = said.filter((one) => !one.answer).map((one) => one.text);
    setSaid((before) => [...before, { text: message.trim() }]);
    setText("");
    ask.mutate({ text: message.trim(), earlier }, { onError: () => setSaid((before) => before.slice(0, -1)) });
  }

  function submit(event: SubmitEvent): void {
    event.preventDefault();
    send(text);
  }

  return (
    <Card
      title={t("tryFiles.talk")}
      note={t("tryFiles.talkAbout")}
      actions={
        said.length > 0 && (
          <Button small icon="plus" onClick={() => setSaid([])}>
            {t("tryFiles.again")}
          </Button>
        )
      }
    >
      <div ref={log} className={styles.log} role="log" aria-label={t("tryFiles.talk")}>
        {said.length === 0 && <p className={styles.soft}>{t("tryFiles.begin")}</p>}
        {said.map((one, place) =>
          one.answer ? <DeskSays key={place} project={project} answer={one.answer} last={place === said.length - 1} onSay={send} /> : <p key={place} className={cx(styles.bubble, styles.customer)}>{one.text}</p>,
        )}
        {ask.isPending && <p className={styles.soft}>{t("tryFiles.thinking")}</p>}
      </div>
      <Problem query={{ error: ask.error }} />
      <form onSubmit={submit} className={styles.ask}>
        <TextField label={t("tryFiles.message")} placeholder={t("tryFiles.messageExample")} value={text} maxLength={2000} disabled={full} onChange={(event) => setText(event.target.value)} />
        <Button kind="primary" type="submit" icon="chat" disabled={!text.trim() || full} busy={ask.isPending}>
          {t("tryFiles.send")}
        </Button>
      </form>
    </Card>
  );
}

function DeskSays({ project, answer, last, onSay }: { project: string; answer: Answer; last: boolean; onSay: (text: string) => void }): ReactNode {
  const { t } = useTranslation();
  const facts = answer.facts;
  const { outcome = "", intent, member, why = "" } = facts as { outcome?: string; intent?: string; member?: string; why?: string };
  const citations = (facts["citations"] as Citation[] | undefined) ?? [];
  const cards = (facts["cards"] as DeskCard[] | undefined) ?? [];
  const call = facts["call"] as Proposed | undefined;
  const behind = [intent ? t("tryFiles.intent", { intent }) : "", member ? t(`talks.member.${member}`, { defaultValue: member }) : "", t("tryFiles.sure", { score: formatShare(answer.score) })];
  return (
    <div className={styles.reply}>
      <div className={cx(styles.bubble, styles.desk)}>
        <p>{answer.text}</p>
        {citations.map((one, place) => (
          <details key={place} className={styles.citation}>
            <summary>{[one.title || one.document, one.heading, one.page ? t("documents.page", { page: one.page }) : ""].filter(Boolean).join(" · ")}</summary>
            <blockquote>{one.passage || one.text}</blockquote>
          </details>
        ))}
        {cards.map((card, place) => (
          <CardOfFacts key={place} card={card.title === answer.text ? { ...card, title: "" } : card} />
        ))}
        {call?.words && (
          <div className={styles.call}>
            <p className={styles.words}>
              {call.words} <Badge tone="warn">{t("tryFiles.dryRun")}</Badge>
            </p>
            {last && outcome === "proposed" && (
              <div className={styles.buttons}>
                <Button small kind="primary" onClick={() => onSay(t("tryFiles.yes"))}>
                  {t("tryFiles.yes")}
                </Button>
                <Button small onClick={() => onSay(t("tryFiles.no"))}>
                  {t("tryFiles.no")}
                </Button>
              </div>
            )}
          </div>
        )}
      </div>
      {why !== "" && (
        <Notice tone="warn" action={<ButtonLink small to={`/projects/${project}/tools`}>{t("nav.tools")}</ButtonLink>}>
          {told(why)}
        </Notice>
      )}
      <p className={styles.soft}>
        <Badge tone={TONES[outcome] ?? "plain"}>{t(`talks.outcomes.${outcome}`, { defaultValue: outcome })}</Badge> {behind.filter(Boolean).join(" · ")}
      </p>
    </div>
  );
}

/** The facts of a card: products, an order, or the rows of a result. */
function CardOfFacts({ card }: { card: DeskCard }): ReactNode {
  return (
    <div className={styles.card}>
      {card.title && <strong>{card.title}</strong>}
      <ul>
        {card.items.map((item, place) => (
          <li key={place}>
            {Object.entries(item)
              .filter(([name, value]) => !["image", "url", "id"].includes(name) && value !== null && value !== "" && typeof value !== "object")
              .map(([name, value]) => (card.kind === "products" ? String(value) : `${name}: ${String(value)}`))
              .join(" · ")}
          </li>
        ))}
      </ul>
    </div>
  );
}
