import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useMutation } from "@tanstack/react-query";

import type { Project } from "../../api/queries";
import { formatNumber, formatShare } from "../../i18n";
import { told as translate } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { CodeBlock } from "../../ui/Code";
import { Badge, Notice } from "../../ui/Feedback";
import { TextField } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { AskDocuments } from "../documents/TestQuestion";
import { DeskTalk } from "./DeskTalk";
import { type Answer, type Answering, answerTexts } from "./queries";
import { TryCode } from "./TryCode";
import styles from "./TryFiles.module.css";

/** Try a model of a project of files: talk with a desk, ask documents, see a call in words, or suggestions with their reasons. */
export function TryFiles({ project, model, facts }: { project: Project; model: string; facts: Answering }): ReactNode {
  const { t } = useTranslation();
  if (facts.converses) return <DeskTalk project={project.id} model={model} />;
  if (project.kinds.includes("repository")) return <TryCode project={project.id} model={model} />;
  if (project.kinds.includes("documents")) {
    return (
      <Card title={t("tryFiles.ask")} note={t("documents.testAbout")}>
        <AskDocuments project={project.id} model={model} />
      </Card>
    );
  }
  return <OneMessage project={project.id} model={model} suggests={project.kinds.includes("orders")} />;
}

function OneMessage({ project, model, suggests }: { project: string; model: string; suggests: boolean }): ReactNode {
  const { t, i18n } = useTranslation();
  const [text, setText] = useState("");
  const ask = useMutation({ mutationFn: async (wanted: string) => (await answerTexts(project, model, [{ text: wanted, earlier: [] }], false, i18n.language))[0] as Answer });
  const kind = suggests ? "suggest" : "call";
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    if (text.trim()) ask.mutate(text.trim());
  }
  return (
    <Card title={t(`tryFiles.${kind}.title`)} note={t(`tryFiles.${kind}.about`)}>
      <form onSubmit={submit} className={styles.ask}>
        <TextField label={t(`tryFiles.${kind}.label`)} placeholder={t(`tryFiles.${kind}.example`)} value={text} maxLength={4000} onChange={(event) => setText(event.target.value)} />
        <Button kind="primary" type="submit" busy={ask.isPending} disabled={!text.trim()}>
          {t(`tryFiles.${kind}.go`)}
        </Button>
      </form>
      <Problem query={{ error: ask.error }} />
      <div aria-live="polite" className={styles.result}>
        {ask.data && (suggests ? <Suggestions answer={ask.data} /> : <Call answer={ask.data} />)}
      </div>
    </Card>
  );
}

interface Called {
  tool?: string;
  arguments?: Record<string, unknown>;
}

/** A call as words, with its arguments; it is not made. */
function Call({ answer }: { answer: Answer }): ReactNode {
  const { t } = useTranslation();
  const call = answer.output as Called | null;
  if (!call) return <Notice>{t("tryFiles.call.none", { score: formatShare(answer.score) })}</Notice>;
  return (
    <div className={styles.call}>
      <p className={styles.words}>
        {answer.call_words || call.tool} <Badge tone="warn">{t("tryFiles.dryRun")}</Badge>
      </p>
      {answer.call_exact && <CodeBlock code={answer.call_exact} label={t("tools.exactCall")} copy />}
      <dl className={styles.facts}>
        <div>
          <dt>{t("tryFiles.call.tool")}</dt>
          <dd>
            <code>{call.tool}</code>
          </dd>
        </div>
        {Object.entries(call.arguments ?? {}).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </div>
        ))}
        <div>
          <dt>{t("tryFiles.score")}</dt>
          <dd>{formatShare(answer.score)}</dd>
        </div>
      </dl>
    </div>
  );
}

type Item = Readonly<Record<string, unknown>>;

const text = (item: Item, name: string) => (typeof item[name] === "string" || typeof item[name] === "number" ? String(item[name]) : "");

/** Suggested items, the likeliest first, each with its reason. */
function Suggestions({ answer }: { answer: Answer }): ReactNode {
  const { t } = useTranslation();
  const told = (answer.facts["items"] as Item[] | undefined) ?? [];
  const items: Item[] = told.length > 0 ? told : ((answer.output as string[] | null) ?? []).map((id) => ({ id }));
  const unknown = (answer.facts["unknown"] as string[] | undefined) ?? [];
  const because = answer.facts["because"];
  return (
    <>
      {typeof because === "string" && <p className={styles.soft}>{t(`tryFiles.because.${because}`, { defaultValue: because })}</p>}
      {unknown.length > 0 && <Notice tone="warn">{t("tryFiles.unknown", { items: unknown.join(", ") })}</Notice>}
      {items.length === 0 && <Notice>{t("tryFiles.noSuggestions")}</Notice>}
      <ol className={styles.items}>
        {items.map((item, place) => (
          <li key={text(item, "id") || place}>
            <span className={styles.place}>{formatNumber(place + 1)}</span>
            <div>
              <strong>{text(item, "name") || text(item, "title") || text(item, "id")}</strong> <span className={styles.soft}>{text(item, "price")}</span>
              {text(item, "reason") && <p className={styles.soft}>{translate(text(item, "reason"))}</p>}
            </div>
          </li>
        ))}
      </ol>
    </>
  );
}
