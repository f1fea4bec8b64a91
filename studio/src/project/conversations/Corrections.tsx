import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useMay } from "../../api/queries";
import { formatNumber, formatWhen } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { Badge, Empty, Notice, Skeleton } from "../../ui/Feedback";
import { Switch, TextArea, TextField } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import layout from "../../ui/Layout.module.css";
import styles from "./Conversations.module.css";
import { type Correction, CORRECTIONS_PER_PAGE, useCorrections, useDecide, useLearnCorrections } from "./queries";

const STATES = ["waiting", "approved", "rejected"] as const;

/** What the desk could learn from its conversations, until somebody approves or rejects each. */
export function Corrections({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const [state, setState] = useState<Correction["state"]>("waiting");
  const [page, setPage] = useState(0);
  const found = useCorrections(project, state, page);
  const may = useMay("edit");
  const total = found.data?.total ?? 0;
  const first = page * CORRECTIONS_PER_PAGE;
  return (
    <>
      <p className={layout.soft}>{t("talks.correctionsAbout")}</p>
      <Choice
        label={t("talks.status")}
        value={state}
        options={STATES.map((name) => ({ value: name, label: t(`talks.correctionState.${name}`) }))}
        onChange={(next) => {
          setState(next);
          setPage(0);
        }}
      />
      {state === "approved" && <Learn project={project} may={may} any={total > 0} />}
      <Problem query={found} />
      {!found.data && !found.error && <Skeleton label={t("common.loading")} />}
      {found.data && total === 0 && <Empty icon="learn" title={t(`talks.noCorrections.${state}`)}>{t("talks.noCorrectionsAbout")}</Empty>}
      {found.data?.corrections.map((correction) => (
        <OneCorrection key={`${correction.id} ${correction.state}`} project={project} correction={correction} may={may} />
      ))}
      {total > CORRECTIONS_PER_PAGE && (
        <div className={styles.pages}>
          <Button small disabled={page === 0} onClick={() => setPage(page - 1)}>
            {t("run.newer")}
          </Button>
          <span className="numbers">{t("run.pageOf", { from: formatNumber(first + 1), to: formatNumber(Math.min(total, first + CORRECTIONS_PER_PAGE)), total: formatNumber(total) })}</span>
          <Button small disabled={first + CORRECTIONS_PER_PAGE >= total} onClick={() => setPage(page + 1)}>
            {t("run.older")}
          </Button>
        </div>
      )}
    </>
  );
}

function Learn({ project, may, any }: { project: string; may: boolean; any: boolean }): ReactNode {
  const { t } = useTranslation();
  const learn = useLearnCorrections(project);
  const done = learn.data;
  return (
    <>
      <div className={layout.row}>
        <Button kind="primary" icon="learn" busy={learn.isPending} disabled={!may || !any} onClick={() => learn.mutate()}>
          {t("talks.learn")}
        </Button>
        <span className={layout.soft}>{t("talks.learnAbout")}</span>
      </div>
      <Problem query={{ error: learn.error }} />
      {done && (
        <Notice tone="good" action={<ButtonLink small to={`/projects/${project}/build`}>{t("nav.build")}</ButtonLink>}>
          {t("talks.learnt", { count: done.added, number: formatNumber(done.added) })}
          {done.left > 0 && ` ${t("talks.learntLeft", { count: done.left, number: formatNumber(done.left) })}`}
        </Notice>
      )}
    </>
  );
}

function OneCorrection({ project, correction, may }: { project: string; correction: Correction; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const decide = useDecide(project);
  const [question, setQuestion] = useState(correction.question);
  const [answer, setAnswer] = useState(correction.answer);
  const [quote, setQuote] = useState(correction.quote);
  const [intent, setIntent] = useState(correction.kind === "proposed" ? correction.intent : "");
  const [nothing, setNothing] = useState(correction.unanswerable);
  const open = correction.state === "waiting";
  const move = (state: Correction["state"]) => decide.mutate({ correction: correction.id, state, question, answer, intent, quote, document: quote === "" ? "" : correction.document, unanswerable: nothing });
  const teaches = nothing || answer.trim() !== "" || quote.trim() !== "" || intent.trim() !== "";
  return (
    <Card className={layout.stack}>
      <header className={layout.row}>
        <Badge tone={correction.kind === "thumb_down" ? "bad" : "accent"}>{t(`talks.correctionKind.${correction.kind}`)}</Badge>
        <span className={layout.soft}>
          {[t(`channels.kind.${correction.channel}`, { defaultValue: correction.channel }), formatWhen(new Date(correction.time * 1000)), correction.by && t("talks.correctionBy", { name: correction.by })].filter(Boolean).join(" · ")}
          {" · "}
          <Link to={`/projects/${project}/conversations?open=${encodeURIComponent(correction.conversation)}`}>{t("channels.openTalk")}</Link>
        </span>
      </header>
      {correction.said !== "" && (
        <div>
          <p className={layout.soft}>{t("talks.deskSaid")}</p>
          <blockquote className={styles.said}>{correction.said}</blockquote>
        </div>
      )}
      {correction.comment !== "" && <p className={layout.soft}>{t("talks.customerSays", { comment: correction.comment })}</p>}
      <div className={layout.fields}>
        <TextArea label={t("talks.asked")} help={open ? t("talks.askedHelp") : undefined} rows={2} maxLength={20_000} readOnly={!open || !may} value={question} onChange={(event) => setQuestion(event.target.value)} />
        {!nothing && correction.quote === "" && <TextArea label={t("talks.rightAnswer")} rows={2} maxLength={20_000} readOnly={!open || !may} value={answer} onChange={(event) => setAnswer(event.target.value)} />}
        {!nothing && correction.quote !== "" && <TextArea label={t("talks.quoteOf", { document: correction.document })} rows={2} maxLength={20_000} readOnly={!open || !may} value={quote} onChange={(event) => setQuote(event.target.value)} />}
        {(intent !== "" || correction.intent !== "") && <TextField label={t("talks.intent")} help={open && correction.kind !== "proposed" ? t("talks.intentHelp", { intent: correction.intent }) : undefined} maxLength={200} readOnly={!open || !may} value={intent} onChange={(event) => setIntent(event.target.value)} />}
      </div>
      <Problem query={{ error: decide.error }} />
      {may && (
        <div className={layout.row}>
          {open ? (
            <>
              <Button kind="primary" icon="check" busy={decide.isPending} disabled={question.trim() === "" || !teaches} onClick={() => move("approved")}>
                {t("talks.approve")}
              </Button>
              <Button busy={decide.isPending} onClick={() => move("rejected")}>
                {t("talks.reject")}
              </Button>
              <Switch label={t("talks.unanswerable")} checked={nothing} onChange={(event) => setNothing(event.target.checked)} />
            </>
          ) : (
            <Button small icon="undo" busy={decide.isPending} onClick={() => move("waiting")}>
              {t("talks.reopen")}
            </Button>
          )}
        </div>
      )}
    </Card>
  );
}
