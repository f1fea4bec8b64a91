import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice } from "../../ui/Feedback";
import { Switch, TextField } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import type { ObjectSchema } from "../../ui/schema";
import { Disclosure, SchemaForm } from "../../ui/SchemaForm";
import { told } from "../../i18n/serverTexts";
import layout from "../../ui/Layout.module.css";
import styles from "./Channels.module.css";
import { Counts, ToCopy, TrialResult } from "./parts";
import { type Channel, useChangeChannel, useConnectChannel, useTryChannel } from "./queries";

/** The settings that everybody fills in; the others have standards that fit most. */
const MAIN: Readonly<Record<string, readonly string[]>> = {
  email: ["address", "imap_host", "policy", "people"],
  chatwoot: ["base", "account"],
  whatsapp: ["phone_number_id"],
  slack: ["mentions"],
  telegram: [],
  webhook: ["reply_url"],
};
/** Secrets that you choose yourself, and give to the vendor. */
const OWN = ["telegram.secret_env", "whatsapp.verify_env", "webhook.secret_env"];
const STEPS = ["email", "chatwoot", "whatsapp", "slack", "telegram", "webhook"];

/** One channel: what it does, whether it works, and the form behind it. */
export function ChannelCard({ project, channel, may }: { project: string; channel: Channel; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const name = t(`channels.kind.${channel.kind}`, { defaultValue: channel.kind });
  return (
    <Card className={styles.channel}>
      <header className={styles.line}>
        <span className={styles.mark} data-kind={channel.kind} aria-hidden="true">
          {name.charAt(0)}
        </span>
        <div>
          <h3>{name}</h3>
          <p className={layout.soft}>{t(`channels.kindAbout.${channel.kind}`, { defaultValue: "" })}</p>
          <Counts delivery={channel.delivery} />
        </div>
        <State channel={channel} />
        <Button small aria-expanded={open} aria-label={`${t(open ? "common.close" : "channels.setUp")}: ${name}`} onClick={() => setOpen(!open)}>
          {t(open ? "common.close" : "channels.setUp")}
        </Button>
      </header>
      {channel.delivery.error !== "" && <Notice tone="warn">{t("channels.lastError", { error: channel.delivery.error })}</Notice>}
      {open && <ChannelForm project={project} channel={channel} name={name} may={may} />}
    </Card>
  );
}

function State({ channel }: { channel: Channel }): ReactNode {
  const { t } = useTranslation();
  if (channel.tried && !channel.tried.works) return <Badge tone="bad">{t("channels.state.fails")}</Badge>;
  if (!channel.on) return <Badge>{t("channels.state.off")}</Badge>;
  return channel.tried?.works ? <Badge tone="good" icon="check">{t("channels.state.works")}</Badge> : <Badge tone="accent">{t("channels.state.on")}</Badge>;
}

function ChannelForm({ project, channel, name, may }: { project: string; channel: Channel; name: string; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const [settings, setSettings] = useState<Record<string, unknown>>(channel.settings);
  const [secrets, setSecrets] = useState<Record<string, string>>({});
  const [on, setOn] = useState(channel.on);
  const [more, setMore] = useState(false);
  const save = useChangeChannel(project, channel.kind);
  const tries = useTryChannel(project, channel.kind);
  const schema = channel.fields as ObjectSchema;
  const names = Object.keys(schema.properties ?? {});
  const main = MAIN[channel.kind] ?? names;
  const rest = names.filter((one) => !main.includes(one));
  const change = (setting: string, value: unknown) => setSettings((before) => Object.fromEntries(Object.entries({ ...before, [setting]: value }).filter(([, one]) => one !== undefined)));
  const asked = (active: boolean) => ({ on: active, settings, secrets: Object.fromEntries(Object.entries(secrets).filter(([, value]) => value !== "")) });
  const section = `channel_${channel.kind}`;
  const place = t(`channels.place.${channel.kind}`, { defaultValue: t("channels.atTheirs", { name }) });

  /** Keys are tried as they stand in the form, so that nobody switches on what does not work. */
  function attempt(): void {
    void save.mutateAsync(asked(channel.on)).then(() => tries.mutateAsync(undefined)).then(() => setSecrets({})).catch(() => undefined);
  }

  return (
    <div className={styles.setUp}>
      <form
        className={styles.form}
        aria-label={name}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate(asked(on), { onSuccess: () => setSecrets({}) });
        }}
      >
        <SchemaForm section={section} schema={schema} value={settings} onChange={change} hide={rest} />
        <div className={layout.fields}>
          {channel.secrets.map((secret) => (
            <SecretField key={secret.name} kind={channel.kind} secret={secret} value={secrets[secret.name] ?? ""} onChange={(value) => setSecrets((before) => ({ ...before, [secret.name]: value }))} />
          ))}
        </div>
        {rest.length > 0 && (
          <Disclosure title={t("run.more")} open={more} onToggle={setMore}>
            <SchemaForm section={section} schema={schema} value={settings} onChange={change} hide={main} />
          </Disclosure>
        )}
        <Switch label={t("channels.switchOn")} checked={on} disabled={!may} onChange={(event) => setOn(event.target.checked)} />
        <Problem query={{ error: save.error ?? tries.error }} />
        {channel.tried && !save.isPending && !tries.isPending && <TrialResult trial={channel.tried} />}
        <div className={layout.row}>
          <Button type="submit" kind="primary" busy={save.isPending} disabled={!may || tries.isPending}>
            {t("common.save")}
          </Button>
          <Button busy={tries.isPending} disabled={!may || save.isPending} onClick={attempt}>
            {t("channels.test")}
          </Button>
          <span className={layout.soft}>{t("channels.testAbout")}</span>
        </div>
      </form>
      <aside className={styles.steps} aria-label={place}>
        <h4>{place}</h4>
        {STEPS.includes(channel.kind) && (
          <ol>
            {t(`channels.steps.${channel.kind}`).split("\n").map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
        )}
        {channel.address !== "" && <ToCopy label={t("channels.callback")} text={channel.address} />}
        {channel.connects && channel.address.startsWith("https://") && <Connect project={project} kind={channel.kind} name={name} may={may} />}
        {channel.address === "" && channel.kind !== "email" && <p className={layout.soft}>{t("channels.noAddress")}</p>}
        {channel.address.startsWith("http://") && <Notice tone="warn">{t("channels.localAddress")}</Notice>}
      </aside>
    </div>
  );
}

/** Tells the vendor the callback address, where it can be told so. */
function Connect({ project, kind, name, may }: { project: string; kind: string; name: string; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const connect = useConnectChannel(project, kind);
  return (
    <>
      <Button small busy={connect.isPending} disabled={!may} onClick={() => connect.mutate(undefined)}>
        {t("channels.connect", { name })}
      </Button>
      {connect.data && <TrialResult trial={connect.data} />}
      <Problem query={{ error: connect.error }} />
    </>
  );
}

function SecretField({ kind, secret, value, onChange }: { kind: string; secret: Channel["secrets"][number]; value: string; onChange: (value: string) => void }): ReactNode {
  const { t } = useTranslation();
  const own = OWN.includes(`${kind}.${secret.name}`);
  const label = t(`channels.secret.${kind}_${secret.name}`, { defaultValue: secret.name.replace("_env", "") });
  return (
    <div className={styles.secret}>
      <TextField
        label={label}
        help={secret.kept ? t("channels.keyKept") : own && kind !== "webhook" ? t("channels.ownKey") : t(`channels.secretHelp.${kind}_${secret.name}`, { defaultValue: told(secret.help) })}
        type={own ? "text" : "password"}
        autoComplete="new-password"
        spellCheck={false}
        placeholder={secret.kept ? "••••••••" : ""}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      {own && (
        <Button small kind="quiet" icon="key" onClick={() => onChange(kind === "webhook" ? webhookSecret() : randomText())}>
          {t("channels.makeKey")}
        </Button>
      )}
    </div>
  );
}

/** A secret by the Standard Webhooks rules. */
function webhookSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
}

/** A key that nobody guesses, of letters that every vendor takes. */
function randomText(): string {
  return [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
