import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useMay } from "../../api/queries";
import { Button, ButtonLink } from "../../ui/Button";
import { Notice, Skeleton } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { useServing, useStartServing, useStopServing } from "../run/queries";
import { ChannelCard } from "./ChannelCard";
import layout from "../../ui/Layout.module.css";
import styles from "./Channels.module.css";
import { DeadLettersCard } from "./DeadLettersCard";
import { HandOverCard } from "./HandOverCard";
import { type Channels, useChannels } from "./queries";
import { SiteCard } from "./SiteCard";
import { WebhooksCard } from "./WebhooksCard";

/** Where customers reach the desk: its site, mailbox and chats, who else is told, and what could not be delivered. */
export function ChannelsPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const channels = useChannels(project);
  const may = useMay("serve");
  return (
    <>
      <PageTitle title={t("nav.channels")} about={t("channels.about")} />
      <Problem query={channels} />
      {!channels.data && !channels.error && <Skeleton label={t("common.loading")} />}
      {channels.data && (
        <div className={layout.page}>
          <Standing project={project} channels={channels.data} may={may} />
          {!may && <Notice>{t("channels.mayNot")}</Notice>}
          {channels.data.dead > 0 && <DeadLettersCard project={project} number={channels.data.dead} />}
          <SiteCard key={`site-${channels.data.public}`} project={project} channels={channels.data} may={may} />
          <section className={styles.list} aria-label={t("channels.inboxes")}>
            <h2>{t("channels.inboxes")}</h2>
            {inOrder(channels.data.channels).map((channel) => (
              <ChannelCard key={channel.kind} project={project} channel={channel} may={may} />
            ))}
          </section>
          <HandOverCard project={project} channels={channels.data} may={may} />
          <WebhooksCard project={project} channels={channels.data} may={may} />
        </div>
      )}
    </>
  );
}

const ORDER = ["email", "whatsapp", "telegram", "slack", "chatwoot", "webhook"];

/** The channels as most shops need them; one that was added to smidgen comes last. */
function inOrder(channels: Channels["channels"]): Channels["channels"] {
  const place = (kind: string) => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length);
  return channels.toSorted((one, other) => place(one.kind) - place(other.kind));
}

/** Whether the desk runs, and whether it has to be started again for what was changed. */
function Standing({ project, channels, may }: { project: string; channels: Channels; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const serving = useServing(project);
  const start = useStartServing(project);
  const stop = useStopServing(project);
  const busy = start.isPending || stop.isPending;
  if (!channels.running) {
    return (
      <Notice tone="accent" action={<ButtonLink small to={`/projects/${project}/run`}>{t("nav.run")}</ButtonLink>}>
        {t(channels.desk === "" ? "channels.notBuilt" : "channels.notRunning")}
      </Notice>
    );
  }
  function restart(): void {
    const settings = serving.data?.settings;
    if (settings) void stop.mutateAsync(undefined).then(() => start.mutateAsync({ settings, fallback_key: null })).catch(() => undefined);
  }
  return (
    <>
      <Problem query={{ error: start.error ?? stop.error }} />
      {channels.outdated && (
        <Notice tone="warn" action={<Button small busy={busy} disabled={!may || !serving.data} onClick={restart}>{t("channels.restart")}</Button>}>
          {t("channels.outdated")}
        </Notice>
      )}
    </>
  );
}
