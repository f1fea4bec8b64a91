import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../../api/queries";
import { formatShare, formatWhen } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { TextArea } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { useStepWords } from "../policy/RulesCard";
import layout from "../../ui/Layout.module.css";
import styles from "./Conversations.module.css";
import { Dialog } from "../../ui/Overlay";
import { JudgeDialog } from "./JudgeDialog";
import { type LoggedCall, type Status, type Talk, type TalkReply, type TalkTurn, useForgetTalk, useMoveTalk, useReply, useTalk } from "./queries";
import { toneOf } from "./tone";

/** One conversation as a chat, with what is known behind each answer, and a place to answer as a person. */
export function TalkPane({ project, id, onClose }: { project: string; id: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const talk = useTalk(project, id);
  const may = useMay("edit");
  const [judged, setJudged] = useState<{ turn: TalkTurn; question: string } | null>(null);
  const end = useRef<HTMLDivElement>(null);
  const count = talk.data?.turns.length ?? 0;
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, [count]);
  return (
    <section className={styles.talk} aria-label={t("talks.conversation")}>
      <Problem query={talk} />
      {!talk.data && !talk.error && <Skeleton label={t("common.loading")} />}
      {talk.error && <Button onClick={onClose}>{t("talks.back")}</Button>}
      {talk.data && (
        <>
          <TalkHead project={project} talk={talk.data} may={may} onClose={onClose} />
          <div className={styles.turns} role="region" aria-label={t("talks.messages")} tabIndex={0}>
            {talk.data.turns.map((turn, place, turns) => (
              <Turn key={turn.id} turn={turn} may={may} onJudge={() => setJudged({ turn, question: turns.slice(0, place).findLast((one) => one.author === "customer")?.text ?? "" })} />
            ))}
            <div ref={end} />
          </div>
          {talk.data.undelivered.map((letter) => (
            <Notice key={letter.id} tone={letter.state === "dead" ? "bad" : "plain"}>{t(letter.state === "dead" ? "talks.notDelivered" : "talks.onItsWay", { text: letter.text.slice(0, 80) })}{letter.error !== "" && ` ${told(letter.error)}`}</Notice>
          ))}
          <Behind talk={talk.data} />
          {may && <AnswerBox project={project} talk={talk.data} />}
          {judged && <JudgeDialog project={project} conversation={id} turn={judged.turn} question={judged.question} onClose={() => setJudged(null)} />}
        </>
      )}
    </section>
  );
}

function TalkHead({ project, talk, may, onClose }: { project: string; talk: Talk; may: boolean; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const move = useMoveTalk(project, talk.id);
  const mayForget = useMay("serve");
  const moves: readonly (readonly [Status, string])[] = talk.status === "with_person" ? [["open", "giveBack"], ["closed", "solved"]] : talk.status === "open" ? [["with_person", "takeOver"], ["closed", "solved"]] : [["open", "openAgain"]];
  return (
    <header className={styles.talkHead}>
      <IconButton icon="close" small label={t("talks.back")} onClick={onClose} />
      <div>
        <h2>{[t(`channels.kind.${talk.channel}`, { defaultValue: talk.channel }), talk.address].filter(Boolean).join(" · ")}</h2>
        <p className={layout.soft}>{t(`talks.statusAbout.${talk.status}`)}</p>
      </div>
      {may && (
        <div className={styles.moves}>
          {moves.map(([status, name]) => (
            <Button key={status} small icon={status === "closed" ? "check" : undefined} busy={move.isPending && move.variables === status} disabled={move.isPending} onClick={() => move.mutate(status)}>
              {t(`talks.${name}`)}
            </Button>
          ))}
          {mayForget && <Forget project={project} id={talk.id} onGone={onClose} />}
        </div>
      )}
      <Problem query={{ error: move.error }} />
    </header>
  );
}

/** Deletes the conversation after a question: a customer may ask for that. */
function Forget({ project, id, onGone }: { project: string; id: string; onGone: () => void }): ReactNode {
  const { t } = useTranslation();
  const forget = useForgetTalk(project, id);
  const [asking, setAsking] = useState(false);
  return (
    <>
      <IconButton icon="trash" small label={t("talks.forget")} onClick={() => setAsking(true)} />
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t("talks.forgetTitle")}
        about={t("talks.forgetAbout")}
        foot={
          <>
            <Button onClick={() => setAsking(false)}>{t("common.cancel")}</Button>
            <Button kind="danger" busy={forget.isPending} onClick={() => forget.mutate(undefined, { onSuccess: onGone })}>
              {t("common.delete")}
            </Button>
          </>
        }
      >
        <Problem query={{ error: forget.error }} />
      </Dialog>
    </>
  );
}

function Turn({ turn, may, onJudge }: { turn: TalkTurn; may: boolean; onJudge: () => void }): ReactNode {
  const { t } = useTranslation();
  const words = useStepWords();
  const { reply } = turn;
  return (
    <article className={cx(styles.turn, styles[turn.author])} aria-label={turn.author === "person" ? turn.by || t("talks.author.person") : t(`talks.author.${turn.author}`)}>
      <header>
        <strong>{turn.author === "person" ? turn.by || t("talks.author.person") : t(`talks.author.${turn.author}`)}</strong>
        <time>{formatWhen(new Date(turn.time * 1000))}</time>
      </header>
      <div className={styles.bubble}>
        {turn.text !== "" && <p>{turn.text}</p>}
        {reply?.call && <ProposedCall call={reply.call} />}
        {reply?.cards.map((card, place) => <FactCard key={place} title={card.title === turn.text ? "" : card.title} items={card.items} />)}
        {reply?.citations.map((one, place) => (
          <details key={place} className={styles.citation}>
            <summary>{[one.title, one.heading, one.page === null ? "" : t("talks.page", { page: one.page })].filter(Boolean).join(" · ")}</summary>
            <Passage passage={one.passage || one.text} quote={one.text} />
          </details>
        ))}
      </div>
      {reply && (
        <footer>
          <Badge tone={toneOf(reply.outcome)}>{t(`talks.outcomes.${reply.outcome}`)}</Badge>
          <span>{behindReply(t, reply)}</span>
          {reply.passed.length > 0 && <span>{t("talks.passed", { steps: reply.passed.map(words).join(", ") })}</span>}
          {reply.thumb && <Badge tone={reply.thumb === "up" ? "good" : "bad"}>{t(`talks.thumbs.${reply.thumb}`)}</Badge>}
          {may && (
            <Button small kind="quiet" icon="pencil" onClick={onJudge}>
              {t("talks.correct")}
            </Button>
          )}
          {reply.email !== "" && <p className={styles.comment}>{t("talks.writeTo", { email: reply.email })}</p>}
          {reply.comment !== "" && <p className={styles.comment}>{t("talks.customerSays", { comment: reply.comment })}</p>}
        </footer>
      )}
    </article>
  );
}

/** Who answered and how sure it was, in a line. */
function behindReply(t: ReturnType<typeof useTranslation>["t"], reply: TalkReply): string {
  const member = reply.member === "" ? "" : t(`talks.member.${reply.member}`, { defaultValue: reply.member });
  const score = member === "" ? "" : t("tryFiles.sure", { score: formatShare(reply.score) });
  return [member, reply.intent, score].filter(Boolean).join(" · ");
}

/** The passage with the quoted words marked. */
function Passage({ passage, quote }: { passage: string; quote: string }): ReactNode {
  const start = passage.indexOf(quote);
  if (start < 0) return <p className={styles.passage}>{passage}</p>;
  return (
    <p className={styles.passage}>
      {passage.slice(0, start)}
      <mark>{quote}</mark>
      {passage.slice(start + quote.length)}
    </p>
  );
}

function ProposedCall({ call }: { call: NonNullable<TalkReply["call"]> }): ReactNode {
  const { t } = useTranslation();
  return (
    <div className={styles.card}>
      <strong>{call.words}</strong>
      <Facts facts={call.arguments} />
      <small>{t("talks.waitsForYes", { tool: call.tool })}</small>
    </div>
  );
}

function FactCard({ title, items }: { title: string; items: readonly Record<string, unknown>[] }): ReactNode {
  return (
    <div className={styles.card}>
      {title !== "" && <strong>{title}</strong>}
      {items.map((item, place) => (typeof item["name"] === "string" ? <Product key={place} name={item["name"]} item={item} /> : <Facts key={place} facts={item} />))}
    </div>
  );
}

/** A product in a line: its name, its price, and why it is suggested. */
function Product({ name, item }: { name: string; item: Record<string, unknown> }): ReactNode {
  const rest = [item["price"], item["reason"]].filter((value) => typeof value === "string" && value !== "");
  return (
    <p>
      <b>{name}</b> {rest.join(" · ")}
    </p>
  );
}

function Facts({ facts }: { facts: Record<string, unknown> }): ReactNode {
  const shown = Object.entries(facts).filter(([name, value]) => name !== "image" && value !== null && value !== "");
  if (shown.length === 0) return null;
  return (
    <dl className={styles.facts}>
      {shown.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{Array.isArray(value) ? value.join(", ") : typeof value === "string" ? value : JSON.stringify(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The calls of tools, and the summary that people get at a hand-over. */
function Behind({ talk }: { talk: Talk }): ReactNode {
  const { t } = useTranslation();
  const { summary } = talk;
  return (
    <div className={styles.behindTalk}>
      {talk.calls.length > 0 && (
        <details>
          <summary>{t("talks.calls", { count: talk.calls.length })}</summary>
          <ul className={styles.calls}>
            {talk.calls.map((call, place) => (
              <Call key={place} call={call} />
            ))}
          </ul>
        </details>
      )}
      {talk.turns.length > 0 && (
        <details>
          <summary>{t("talks.summary")}</summary>
          <dl className={styles.summary}>
            <dt>{t("talks.question")}</dt>
            <dd>{summary.question}</dd>
            {summary.passages.length > 0 && <dt>{t("talks.passages")}</dt>}
            {summary.passages.map((passage) => (
              <dd key={passage}>{passage}</dd>
            ))}
          </dl>
        </details>
      )}
    </div>
  );
}

function Call({ call }: { call: LoggedCall }): ReactNode {
  const { t } = useTranslation();
  return (
    <li>
      <div>
        <strong>{call.tool}</strong> <Badge tone={call.status === "done" || call.status === "ok" ? "good" : call.status === "failed" ? "bad" : "plain"}>{t(`talks.callStatus.${call.status}`, { defaultValue: call.status })}</Badge>
      </div>
      <Facts facts={call.arguments} />
      <p className={layout.soft}>{[formatWhen(new Date(call.time * 1000)), t("talks.consent", { consent: t(`talks.consents.${call.consent.replace(" ", "_")}`, { defaultValue: call.consent }) }), told(call.reason)].filter(Boolean).join(" · ")}</p>
    </li>
  );
}

function AnswerBox({ project, talk }: { project: string; talk: Talk }): ReactNode {
  const { t } = useTranslation();
  const reply = useReply(project, talk.id);
  const [text, setText] = useState("");
  const send = (after: Status) => reply.mutate({ text, after }, { onSuccess: () => setText("") });
  return (
    <form
      className={styles.answer}
      onSubmit={(event) => {
        event.preventDefault();
        send("with_person");
      }}
    >
      <TextArea label={t("talks.answerAs")} help={t(talk.channel === "widget" ? "talks.answerInChat" : "talks.answerByChannel", { channel: t(`channels.kind.${talk.channel}`, { defaultValue: talk.channel }) })} rows={3} maxLength={20_000} value={text} onChange={(event) => setText(event.target.value)} />
      <Problem query={{ error: reply.error }} />
      <div className={layout.row}>
        <Button type="submit" kind="primary" busy={reply.isPending} disabled={text.trim() === ""}>
          {t("talks.send")}
        </Button>
        <Button busy={reply.isPending} disabled={text.trim() === ""} onClick={() => send("closed")}>
          {t("talks.sendSolved")}
        </Button>
        <Button kind="quiet" busy={reply.isPending} disabled={text.trim() === ""} onClick={() => send("open")}>
          {t("talks.sendBack")}
        </Button>
      </div>
    </form>
  );
}
