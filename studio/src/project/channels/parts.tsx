import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber, formatWhen } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { CopyButton } from "../../ui/Code";
import { Notice } from "../../ui/Feedback";
import layout from "../../ui/Layout.module.css";
import styles from "./Channels.module.css";
import type { Delivery, Trial } from "./queries";

/** How a trial ended, in a sentence or two. */
export function TrialResult({ trial }: { trial: Trial }): ReactNode {
  const { t } = useTranslation();
  const when = formatWhen(new Date(trial.time * 1000));
  if (trial.works) return <Notice tone="good">{trial.name === "" ? t("channels.works", { when }) : t("channels.worksAs", { when, name: trial.name })}</Notice>;
  return (
    <Notice tone="bad">
      <p>{`${t("channels.fails", { when })} ${sentence(told(trial.what))}`}{trial.value !== "" && <> <code>{trial.value}</code></>}</p>
      <p>{told(trial.todo)}</p>
    </Notice>
  );
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** What to copy to somewhere else. */
export function ToCopy({ label, text }: { label: string; text: string }): ReactNode {
  return (
    <div className={styles.copy}>
      <span className={styles.copyLabel}>{label}</span>
      <code>{text}</code>
      <CopyButton text={text} />
    </div>
  );
}

/** How many messages wait, went out, or could not be delivered. */
export function Counts({ delivery }: { delivery: Delivery }): ReactNode {
  const { t } = useTranslation();
  const parts = (["conversations", "waiting", "delivered", "dead"] as const).filter((name) => delivery[name] > 0);
  if (parts.length === 0) return null;
  return <span className={layout.soft}>{parts.map((name) => t(`channels.count.${name}`, { count: delivery[name], number: formatNumber(delivery[name]) })).join(" · ")}</span>;
}
