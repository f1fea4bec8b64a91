import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { CodeBlock } from "../../ui/Code";
import { Badge, Notice } from "../../ui/Feedback";
import { Select, TextField } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { type ArgumentDraft, draftOf, typed, argumentOf, type Settings, shown, shownIn } from "./draft";
import { type DryRun, type Tools, useDryRun, useRunOnce } from "./queries";
import layout from "../../ui/Layout.module.css";
import styles from "./Tools.module.css";

/** The exact call that a message or arguments lead to. It sends nothing; an owner may then make it once, if it only reads. */
export function TryCard({ project, tools, tool, onTool }: { project: string; tools: Tools; tool: string; onTool: (name: string) => void }): ReactNode {
  const { t, i18n } = useTranslation();
  const look = useDryRun(project);
  const [message, setMessage] = useState("");
  const [values, setValues] = useState<Record<string, string>>({});
  const chosen = tools.tools.find((one) => one.name === tool);
  const known = chosen ? draftOf(chosen.place.id, chosen.settings, chosen.place.source !== "tools", chosen.changes, chosen.schema).arguments : [];
  const language = i18n.language === "de" ? "de" : "en";
  return (
    <Card title={t("tools.try")} note={t("tools.tryAbout")}>
      <form
        className={layout.stack}
        onSubmit={(event) => {
          event.preventDefault();
          look.mutate({ tool, message: message.trim(), arguments: given(values, known), language });
        }}
      >
        <div className={layout.fields}>
          <Select
            label={t("tools.tool")}
            value={tool}
            options={[{ value: "", label: t(tools.model ? "tools.modelChooses" : "tools.chooseTool") }, ...tools.tools.filter((one) => one.mistakes.length === 0).map((one) => ({ value: one.name, label: one.description || one.name }))]}
            onChange={(event) => {
              onTool(event.target.value);
              setValues({});
              look.reset();
            }}
          />
          <TextField label={t("tools.message")} maxLength={4000} placeholder={t("tools.messageExample")} value={message} onChange={(event) => setMessage(event.target.value)} />
        </div>
        {known.length > 0 && (
          <div className={layout.fields}>
            {known.map((one) => (
              <TextField key={one.name} label={shown(one)} maxLength={500} value={values[one.name] ?? ""} onChange={(event) => setValues({ ...values, [one.name]: event.target.value })} />
            ))}
          </div>
        )}
        <div className={layout.row}>
          <Button type="submit" kind="primary" icon="search" busy={look.isPending} disabled={!tool && !(tools.model && message.trim())}>
            {t("tools.show")}
          </Button>
          <span className={layout.soft}>{t("tools.sendsNothing")}</span>
        </div>
        <Problem query={{ error: look.error }} />
      </form>
      {look.data && <Call project={project} found={look.data} tools={tools} />}
    </Card>
  );
}

function given(values: Record<string, string>, known: readonly ArgumentDraft[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value.trim()).map(([name, value]) => [name, typed(value, known.find((one) => one.name === name)?.type ?? "string")]));
}

function Call({ project, found, tools }: { project: string; found: DryRun; tools: Tools }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("manage");
  const [asking, setAsking] = useState(false);
  const run = useRunOnce(project);
  if (!found.tool) return <Notice>{t("tools.noCall")}</Notice>;
  const tool = tools.tools.find((one) => one.name === found.tool);
  const whole = found.missing.length === 0 && Object.keys(found.mistakes).length === 0;
  const names = (all: readonly string[]) => all.map((name) => titleOf(tool?.schema, name)).join(", ");
  return (
    <div className={styles.call} aria-live="polite">
      <div className={layout.badges}>
        <Badge tone="accent">{t(`tools.by.${found.by}`)}</Badge>
        <Badge tone={found.waits ? "accent" : "plain"}>{t(found.waits ? "tools.waits" : "tools.atOnce")}</Badge>
        <Badge tone={found.changes ? "warn" : "good"}>{t(found.changes ? "tools.changes" : "tools.reads")}</Badge>
      </div>
      <p className={styles.saying}>{found.words}</p>
      {found.missing.length > 0 && <Notice tone="accent">{t("tools.missing", { names: names(found.missing) })}</Notice>}
      {Object.entries(found.mistakes).map(([name, why]) => (
        <Notice key={name} tone="warn">
          {names([name])}: {told(why)}
        </Notice>
      ))}
      {found.fault && <Notice tone="warn">{told(found.fault)}</Notice>}
      {found.exact && <CodeBlock code={found.exact} label={t("tools.exactCall")} copy />}
      {found.changes ? (
        <p className={layout.soft}>{t("tools.notFromHere")}</p>
      ) : (
        <div className={layout.row}>
          <Button icon="run" disabled={!may || !whole || found.fault !== ""} onClick={() => setAsking(true)}>
            {t("tools.runOnce")}
          </Button>
          <span className={layout.soft}>{may ? (whole ? t("tools.runOnceAbout") : t("tools.runOnceLater")) : t("tools.ownerRuns")}</span>
        </div>
      )}
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t("tools.runTitle")}
        about={t("tools.runAbout")}
        foot={
          <>
            <Button onClick={() => setAsking(false)}>{t("common.cancel")}</Button>
            <Button kind="primary" busy={run.isPending} onClick={() => run.mutate({ tool: found.tool, arguments: found.arguments, confirmed: true }, { onSettled: () => setAsking(false) })}>
              {t("tools.runOnce")}
            </Button>
          </>
        }
      >
        <CodeBlock code={found.exact} label={t("tools.exactCall")} />
      </Dialog>
      <Problem query={{ error: run.error }} />
      {run.data && (
        <div className={styles.rows}>
          <p>
            <Badge tone={run.data.status === "ok" ? "good" : "warn"}>{t(`tools.status.${run.data.status}`)}</Badge> <span className={layout.soft}>{t("tools.took", { seconds: formatNumber(run.data.seconds) })}</span>
          </p>
          {run.data.text && <p className={styles.saying}>{run.data.text}</p>}
          {run.data.reason && <p className={layout.soft}>{told(run.data.reason)}</p>}
          {run.data.rows.length > 0 && <CodeBlock code={run.data.rows.map((row) => JSON.stringify(row, null, 1)).join("\n")} label={t("tools.rows")} />}
        </div>
      )}
    </div>
  );
}

function titleOf(schema: Record<string, unknown> | undefined, name: string): string {
  const properties = (schema?.properties ?? {}) as Record<string, Settings>;
  return shownIn(Object.entries(properties).map(([one, given]) => argumentOf(one, given, true)), name);
}
