import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice } from "../../ui/Feedback";
import { Switch, TextField, Ticks } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import layout from "../../ui/Layout.module.css";
import styles from "./Channels.module.css";
import { Counts, ToCopy, TrialResult } from "./parts";
import { type Channels, useChangeWebhook, useDropWebhook, useTryWebhook, type Webhook } from "./queries";

const FIRST = ["handed_over", "escalated"];

/** Who is told of events: Zapier, Make, n8n or own code, by signed webhooks. */
export function WebhooksCard({ project, channels, may }: { project: string; channels: Channels; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const [editing, setEditing] = useState<Webhook | "new" | null>(null);
  return (
    <Card title={t("channels.webhooks")} note={t("channels.webhooksAbout")} actions={<Button small icon="plus" disabled={!may} onClick={() => setEditing("new")}>{t("channels.addWebhook")}</Button>}>
      <ul className={styles.webhooks}>
        {channels.webhooks.map((webhook) => (
          <OneWebhook key={webhook.name} project={project} webhook={webhook} may={may} onEdit={() => setEditing(webhook)} />
        ))}
      </ul>
      {editing !== null && <WebhookDialog project={project} kinds={channels.event_kinds} webhook={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
    </Card>
  );
}

function OneWebhook({ project, webhook, may, onEdit }: { project: string; webhook: Webhook; may: boolean; onEdit: () => void }): ReactNode {
  const { t } = useTranslation();
  const tries = useTryWebhook(project, webhook.name);
  const drop = useDropWebhook(project);
  return (
    <li>
      <div className={styles.webhook}>
        <div>
          <strong>{webhook.name}</strong> {!webhook.on && <Badge>{t("channels.state.off")}</Badge>}
          <p className={styles.url}>{webhook.url}</p>
          <Counts delivery={webhook.delivery} />
        </div>
        <Button small busy={tries.isPending} disabled={!may} onClick={() => tries.mutate(undefined)}>
          {t("channels.test")}
        </Button>
        <IconButton small icon="pencil" label={t("channels.edit", { name: webhook.name })} disabled={!may} onClick={onEdit} />
        <IconButton small icon="trash" label={t("channels.remove", { name: webhook.name })} disabled={!may} onClick={() => drop.mutate(webhook.name)} />
      </div>
      {webhook.delivery.error !== "" && <Notice tone="warn">{t("channels.lastError", { error: webhook.delivery.error })}</Notice>}
      <Problem query={{ error: tries.error ?? drop.error }} />
      {webhook.tried && !tries.isPending && <TrialResult trial={webhook.tried} />}
    </li>
  );
}

function WebhookDialog({ project, kinds, webhook, onClose }: { project: string; kinds: Channels["event_kinds"]; webhook: Webhook | null; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const save = useChangeWebhook(project);
  const [name, setName] = useState(webhook?.name ?? "");
  const [url, setUrl] = useState(webhook?.url ?? "");
  const [on, setOn] = useState(webhook?.on ?? true);
  const [events, setEvents] = useState<string[]>(webhook?.events ?? FIRST);
  const made = save.data?.secret;
  if (made) {
    return (
      <Dialog open onClose={onClose} title={t("channels.secretMade")} about={t("channels.secretMadeAbout")} foot={<Button kind="primary" onClick={onClose}>{t("run.keyDone")}</Button>}>
        <ToCopy label={t("channels.webhookSecret")} text={made} />
      </Dialog>
    );
  }
  return (
    <Dialog open onClose={onClose} title={webhook ? t("channels.edit", { name: webhook.name }) : t("channels.addWebhook")}>
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate({ name, url, on, events: kinds.filter((kind) => events.includes(kind)) }, { onSuccess: (saved) => !saved.secret && onClose() });
        }}
      >
        {!webhook && <TextField label={t("channels.webhookName")} pattern="[a-z][a-z0-9_]*" maxLength={30} placeholder="zapier" required value={name} onChange={(event) => setName(event.target.value)} />}
        <TextField label={t("run.url")} type="url" placeholder="https://hooks.zapier.com/hooks/catch/1/abc" required value={url} onChange={(event) => setUrl(event.target.value)} />
        <Ticks label={t("channels.events")} options={kinds} named={(kind) => t(`channels.event.${kind}`, { defaultValue: kind })} chosen={events} onChange={setEvents} />
        <Switch label={t("channels.switchOn")} checked={on} onChange={(event) => setOn(event.target.checked)} />
        <Problem query={{ error: save.error }} />
        <div className={layout.row}>
          <Button type="submit" kind="primary" busy={save.isPending} disabled={events.length === 0}>
            {t("common.save")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
