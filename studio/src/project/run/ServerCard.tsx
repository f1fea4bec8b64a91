import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { type Run, useAnswerForm, useMay, useProject } from "../../api/queries";
import { formatNumber, formatTime } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { CodeBlock, CopyButton } from "../../ui/Code";
import { cx } from "../../ui/cx";
import { Notice } from "../../ui/Feedback";
import { Select, Switch, TextField } from "../../ui/Field";
import { NumberField } from "../../ui/NumberField";
import { useModelName } from "../../ui/ModelPicker";
import { Problem } from "../../ui/Problem";
import { optionName, settingTitle } from "../../ui/settings";
import { useLine } from "../learn/queries";
import { asked, type Draft, drafted, LINE } from "./draft";
import { Here, Mode } from "./OwnAnswers";
import { type Serving, useRestart, useServeNewest, useStartServing, useStopServing } from "./queries";
import styles from "./Run.module.css";

const MOST_PRICE = 1e6;

/** The server: its state and address in large, one button to start or stop it, and how it is to be started. */
export function ServerCard({ project, serving, models }: { project: string; serving: Serving; models: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("serve");
  const stop = useStopServing(project);
  const on = serving.state === "running" || serving.state === "silent" || serving.state === "starting";
  return (
    <Card>
      <div className={styles.hero}>
        <span className={cx(styles.light, styles[serving.state])} aria-hidden="true" />
        <div className={styles.state}>
          <h2 role="status">{t(serving.state === "running" && serving.settings.model === "" ? "run.watching" : `run.state.${serving.state}`)}</h2>
          {on ? (
            <p className={styles.address}>
              <code>{serving.url}/v1</code>
              <CopyButton text={`${serving.url}/v1`} label={t("run.copyAddress")} />
            </p>
          ) : (
            <p className={styles.soft}>{t(`run.stateAbout.${serving.state}`)}</p>
          )}
        </div>
        {on && (
          <Button icon="stop" busy={stop.isPending} disabled={!may} title={may ? undefined : t("run.notAllowed")} onClick={() => stop.mutate(undefined)}>
            {t("run.stop")}
          </Button>
        )}
      </div>
      <Problem query={{ error: stop.error }} />
      {serving.state === "silent" && <Notice tone="warn">{t("run.silent")}</Notice>}
      {serving.state === "failed" && (
        <Notice tone="bad">
          <p>{serving.log.length > 0 ? t("run.failed") : t("run.killed")}</p>
          {serving.log.length > 0 && <CodeBlock code={serving.log.join("\n")} label={t("run.log")} />}
        </Notice>
      )}
      {on && <Newer project={project} serving={serving} models={models} may={may} />}
      {on && <Redrawn project={project} serving={serving} models={models} may={may} />}
      {on ? <Running project={project} serving={serving} models={models} /> : <StartForm key={serving.started ?? 0} project={project} serving={serving} models={models} may={may} />}
    </Card>
  );
}

function Running({ project, serving, models }: { project: string; serving: Serving; models: readonly Run[] }): ReactNode {
  const { t } = useTranslation();
  const modelName = useModelName(project);
  const { settings } = serving;
  const built = models.find((run) => run.id === settings.model);
  const facts: readonly (readonly [string, ReactNode])[] = [
    [t("common.model"), settings.model === "" ? t("run.noModelServed") : <>{serving.name}{settings.model === LINE ? ` · ${t("run.line")}` : built ? ` · ${modelName(built)}` : ""}</>],
    [t("run.behind"), settings.fallback ? `${settings.fallback_model} · ${settings.fallback}` : t("run.nothingBehind")],
    [t("run.unsure"), settings.model === "" ? "" : serving.desk ? t("run.unsureDesk") : t(settings.fallback ? `run.mode.${settings.local}` : "run.unsureAlone")],
    [t("run.answersHere"), settings.model === "" || serving.desk ? "" : <Here project={project} model={settings.model} point={serving.point} mode={settings.local} alone={settings.fallback === ""} />],
    [t("run.limits"), hasLimits(serving) && settings.fallback ? <Limits limits={serving.limits} /> : ""],
    [t("run.since"), serving.started ? formatTime(new Date(serving.started * 1000).toISOString()) : ""],
  ];
  return (
    <dl className={styles.facts}>
      {facts.filter(([, value]) => value !== "").map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** That the running model is not the newest, with one button to change. */
function Newer({ project, serving, models, may }: { project: string; serving: Serving; models: readonly Run[]; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const modelName = useModelName(project);
  const change = useServeNewest(project);
  const running = models.find((run) => run.id === serving.settings.model);
  const newest = models.find((run) => run.id === serving.newest);
  if (!running || !newest || running.id === newest.id) return <Problem query={{ error: change.error }} />;
  return (
    <>
      <Notice
        tone="warn"
        action={
          <Button small kind="primary" busy={change.isPending} disabled={!may} title={may ? undefined : t("run.notAllowed")} onClick={() => change.mutate(undefined)}>
            {t("run.serveNewest")}
          </Button>
        }
      >
        {t("run.newer", { running: modelName(running), newest: modelName(newest) })}
      </Notice>
      <Problem query={{ error: change.error }} />
    </>
  );
}

/** That the canvas says otherwise since the model was started, with one button to follow it. */
export function Redrawn({ project, serving, models, may }: { project: string; serving: Serving; models: readonly Run[]; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const restart = useRestart(project, models[0]?.id);
  if (!serving.redrawn) return <Problem query={{ error: restart.error }} />;
  return (
    <>
      <Notice
        tone="warn"
        action={
          <Button small kind="primary" busy={restart.isPending} disabled={!may} title={may ? undefined : t("run.notAllowed")} onClick={() => restart.mutate(undefined)}>
            {t("run.restart")}
          </Button>
        }
      >
        {t("run.redrawn")}
      </Notice>
      <Problem query={{ error: restart.error }} />
    </>
  );
}

function hasLimits(serving: Serving): boolean {
  return Object.keys(serving.limits).length > 0;
}

/** What the recipe sets for requests to the large model. */
function Limits({ limits }: { limits: Serving["limits"] }): ReactNode {
  const { t } = useTranslation();
  return Object.entries(limits).map(([name, value]) => <span key={name} className={styles.limit}>{`${settingTitle(t, "route", name)}: ${typeof value === "number" ? formatNumber(value, { maximumSignificantDigits: 6 }) : typeof value === "string" ? optionName(t, name, value) : JSON.stringify(value)}`}</span>);
}

function StartForm({ project, serving, models, may }: { project: string; serving: Serving; models: readonly Run[]; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const start = useStartServing(project);
  const modelName = useModelName(project);
  const line = useLine(project).data;
  const shape = useAnswerForm(project).data?.shape;
  const converses = useProject(project).data?.converses ?? false;
  const finds = shape === "fields" || shape === "spans";
  const [draft, setDraft] = useState(() => drafted(serving.settings, models[0]?.id));
  const [key, setKey] = useState("");
  const [behind, setBehind] = useState(serving.settings.fallback !== "" || models.length === 0);
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const options = [
    ...models.map((run, place) => ({ value: run.id, label: place === 0 ? `${modelName(run)} (${t("run.newest")})` : modelName(run) })),
    ...(line || draft.model === LINE ? [{ value: LINE, label: t("run.lineChampion") }] : []),
    { value: "", label: t("run.noModel") },
  ];

  function submit(): void {
    const settings = asked(draft, behind);
    start.mutate({ settings, fallback_key: key === "" ? null : key });
  }

  if (models.length === 0 && converses) {
    return (
      <div className={styles.form}>
        <Notice tone="accent" action={<ButtonLink small to={`/projects/${project}/build`}>{t("nav.build")}</ButtonLink>}>
          {t("run.noDeskYet")}
        </Notice>
      </div>
    );
  }
  return (
    <form
      className={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {models.length === 0 && (
        <Notice tone="accent" action={<ButtonLink small to={`/projects/${project}/build`}>{t("nav.build")}</ButtonLink>}>
          {t("run.noModelYet")}
        </Notice>
      )}
      <div className={styles.fields}>
        <Select label={t("common.model")} help={draft.model === "" ? t("run.noModelHelp") : undefined} value={draft.model} options={options} onChange={(event) => change({ model: event.target.value })} />
      </div>
      {draft.model !== "" && !converses && <Mode project={project} serving={serving} draft={draft} change={change} behind={behind} />}
      <Switch label={t("run.putBehind")} checked={behind} onChange={(event) => setBehind(event.target.checked)} />
      {behind && <Behind serving={serving} draft={draft} change={change} apiKey={key} onKey={setKey} />}
      <details className={styles.more}>
        <summary>{t("run.more")}</summary>
        <div className={styles.fields}>
          <TextField label={t("run.port")} help={t("run.portHelp")} inputMode="numeric" pattern="[0-9]*" value={draft.port} onChange={(event) => change({ port: event.target.value })} />
          <NumberField label={t("run.days")} help={t("run.daysHelp")} least={1} most={3650} whole value={draft.days} onChange={(days) => days !== null && change({ days })} />
        </div>
        <Switch label={t("run.redact")} checked={draft.redact} onChange={(event) => change({ redact: event.target.checked })} />
        {!draft.redact && <Notice tone="warn">{t("run.notRedacted")}</Notice>}
      </details>
      {draft.redact && finds && <Notice>{t("run.redactedFinds")}</Notice>}
      <Problem query={{ error: start.error }} />
      <div className={styles.go}>
        <Button type="submit" kind="primary" icon="run" busy={start.isPending} disabled={!may} title={may ? undefined : t("run.notAllowed")} className={styles.big}>
          {t("run.start")}
        </Button>
        {!may && <span className={styles.soft}>{t("run.notAllowed")}</span>}
      </div>
    </form>
  );
}

function Behind({ serving, draft, change, apiKey, onKey }: { serving: Serving; draft: Draft; change: (part: Partial<Draft>) => void; apiKey: string; onKey: (key: string) => void }): ReactNode {
  const { t } = useTranslation();
  return (
    <fieldset className={styles.behind}>
      <legend>{t("run.behind")}</legend>
      <p className={styles.soft}>{t("run.behindAbout")}</p>
      {hasLimits(serving) && (
        <div className={styles.soft}>
          {t("run.limits")}: <Limits limits={serving.limits} />
        </div>
      )}
      <div className={styles.fields}>
        <TextField label={t("run.url")} help={t("run.urlHelp")} type="url" placeholder="https://api.openai.com/v1" required value={draft.fallback} onChange={(event) => change({ fallback: event.target.value })} />
        <TextField label={t("run.largeModel")} placeholder="gpt-4.1-mini" required value={draft.fallback_model} onChange={(event) => change({ fallback_model: event.target.value })} />
        <TextField label={t("run.key")} help={serving.has_fallback_key ? t("run.keyKept") : t("run.keyHelp")} type="password" autoComplete="off" value={apiKey} onChange={(event) => onKey(event.target.value)} />
      </div>
      <div className={styles.fields}>
        <NumberField label={t("run.priceIn")} help={t("run.priceHelp")} least={0} most={MOST_PRICE} value={draft.price_in ?? null} onChange={(price_in) => change({ price_in })} />
        <NumberField label={t("run.priceOut")} least={0} most={MOST_PRICE} value={draft.price_out ?? null} onChange={(price_out) => change({ price_out })} />
      </div>
    </fieldset>
  );
}
