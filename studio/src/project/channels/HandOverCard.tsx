import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Notice } from "../../ui/Feedback";
import { Switch } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import layout from "../../ui/Layout.module.css";
import styles from "./Channels.module.css";
import { Counts } from "./parts";
import { type Channels, useChangeHandOver } from "./queries";

const WAYS = [
  { way: "mail", kind: "email" },
  { way: "chatwoot", kind: "chatwoot" },
] as const;

/** How people get conversations that the desk hands over: always in the Studio, and where they work. */
export function HandOverCard({ project, channels, may }: { project: string; channels: Channels; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const change = useChangeHandOver(project);
  return (
    <Card title={t("channels.handOver")} note={t("channels.handOverAbout")} actions={<ButtonLink small to={`/projects/${project}/conversations?status=with_person`}>{t("nav.conversations")}</ButtonLink>}>
      <div className={styles.form}>
        {WAYS.map(({ way, kind }) => {
          const channel = channels.channels.find((one) => one.kind === kind);
          const chosen = channels.hand_over.includes(way);
          const others = channels.hand_over.filter((one): one is "mail" | "chatwoot" => one !== way);
          const delivery = channels.hand_over_delivery[way];
          return (
            <div key={way} className={styles.way}>
              <Switch label={t(`channels.way.${way}`)} checked={chosen} disabled={!may || change.isPending || (!chosen && !channel?.on)} onChange={(event) => change.mutate(event.target.checked ? [...others, way] : others)} />
              {!channel?.on && <span className={layout.soft}>{t("channels.wayNeeds", { name: t(`channels.kind.${kind}`) })}</span>}
              {delivery && <Counts delivery={delivery} />}
              {delivery && delivery.error !== "" && <Notice tone="warn">{t("channels.lastError", { error: delivery.error })}</Notice>}
            </div>
          );
        })}
        <Problem query={{ error: change.error }} />
      </div>
    </Card>
  );
}
