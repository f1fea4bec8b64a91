import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { formatShare } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice, type Tone } from "../../ui/Feedback";
import { Select, TextField } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import layout from "../../ui/Layout.module.css";
import styles from "./Policy.module.css";
import { type Policy, type Tried, useTryPolicy } from "./queries";
import { useStepWords } from "./RulesCard";

const TONES: Record<string, Tone> = { answered: "good", done: "good", proposed: "accent", asked: "accent", handed_over: "warn", unanswered: "warn", failed: "bad" };
const NOT_LOOKED_UP = "it is not looked up again";

/** What happens with a message under the policy as it stands on the page, saved or not. */
export function TryCard({ project, policy, text }: { project: string; policy: Policy; text: string }): ReactNode {
  const { t } = useTranslation();
  const attempt = useTryPolicy(project);
  const [message, setMessage] = useState("");
  const [intent, setIntent] = useState("");
  const ready = policy.model ? message.trim() !== "" : intent !== "";
  return (
    <Card title={t("policy.try")} note={t(policy.model ? "policy.tryAbout" : "policy.tryNoModel")}>
      <form
        className={layout.stack}
        onSubmit={(event) => {
          event.preventDefault();
          attempt.mutate({ text, form: null, stamp: "", message: policy.model ? message.trim() : "", before: [], intent });
        }}
      >
        <div className={layout.fields}>
          {policy.model ? (
            <TextField label={t("policy.message")} maxLength={4000} value={message} onChange={(event) => setMessage(event.target.value)} />
          ) : policy.intents.length > 0 ? (
            <Select label={t("policy.anIntent")} value={intent} options={[{ value: "", label: t("policy.chooseIntent") }, ...policy.intents.map((one) => ({ value: one, label: one }))]} onChange={(event) => setIntent(event.target.value)} />
          ) : (
            <TextField label={t("policy.anIntent")} maxLength={200} value={intent} onChange={(event) => setIntent(event.target.value)} />
          )}
        </div>
        <div>
          <Button type="submit" kind="primary" icon="run" busy={attempt.isPending} disabled={!ready || policy.mistakes.length > 0}>
            {t("policy.see")}
          </Button>
        </div>
        <Problem query={{ error: attempt.error }} />
      </form>
      {attempt.data && <Found tried={attempt.data} />}
    </Card>
  );
}

function Found({ tried }: { tried: Tried }): ReactNode {
  const { t } = useTranslation();
  const words = useStepWords();
  const result = tried.facts.result as { why?: string } | undefined;
  const call = tried.facts.call as { tool?: string } | undefined;
  return (
    <div className={layout.stack} aria-live="polite">
      <ol className={styles.path}>
        <li className={tried.intent ? styles.answered : styles.passed}>
          {tried.intent ? t("policy.recognised", { intent: tried.intent }) : t("policy.notRecognised")}
          {tried.label && <span className={layout.soft}>{t("policy.guess", { label: tried.label, share: formatShare(tried.score) })}</span>}
        </li>
        <li className={styles.answered}>{tried.pattern ? t("policy.byRule", { pattern: tried.pattern }) : t("policy.byUnknown")}</li>
        {tried.steps.map((step) => (
          <li key={step.step} className={styles[step.state]}>
            <strong>{words(step.step)}</strong>
            <Badge tone={step.state === "answered" ? "good" : "plain"}>{t(tried.outcome ? `policy.state.${step.state}` : "policy.state.planned")}</Badge>
          </li>
        ))}
      </ol>
      {tried.outcome && (
        <p>
          <Badge tone={TONES[tried.outcome] ?? "plain"}>{t(`tests.outcome.${tried.outcome}`)}</Badge>
        </p>
      )}
      {result?.why === NOT_LOOKED_UP ? <Notice tone="accent">{t("policy.wouldLookUp", { tool: call?.tool ?? "" })}</Notice> : tried.text && <p className={styles.says}>{tried.text}</p>}
    </div>
  );
}
