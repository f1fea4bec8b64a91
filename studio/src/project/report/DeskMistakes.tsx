import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge } from "../../ui/Feedback";
import layout from "../../ui/Layout.module.css";
import tests from "../tests/Tests.module.css";
import { OUTCOMES } from "../tests/turns";
import { Wanted } from "../tests/Wanted";
import type { ReportView } from "./queries";
import styles from "./Report.module.css";
import { messagesOf, parsed } from "./wording";

const FEW = 6;

/** Messages that got another outcome than wanted; all of them are on the page of test conversations. */
export function DeskMistakes({ project, view }: { project: string; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const { mistakes } = view.report;
  if (mistakes.length === 0) return null;
  return (
    <Card
      title={t("report.mistakes")}
      note={t("report.deskMistakesNote")}
      actions={
        <ButtonLink small to={`/projects/${project}/tests?show=wrong`}>
          {t("report.readMistakes")}
        </ButtonLink>
      }
    >
      <ol className={styles.answers}>
        {mistakes.slice(0, FEW).map((mistake, place) => (
          <li key={place} className={styles.answer}>
            <Said messages={messagesOf(mistake.text)} />
            <Got reply={parsed(mistake.answer)} />
            <Wanted expect={parsed(mistake.gold)} />
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** What the customer said: the last message is the one that was answered. */
function Said({ messages }: { messages: readonly string[] }): ReactNode {
  return messages.map((message, place) => (
    <p key={place} className={place === messages.length - 1 ? styles.quote : styles.soft}>
      {message}
    </p>
  ));
}

function Got({ reply }: { reply: Record<string, unknown> }): ReactNode {
  const { t } = useTranslation();
  const outcome = OUTCOMES.find((one) => one === reply["outcome"]);
  const cards = Array.isArray(reply["cards"]) ? (reply["cards"] as { items?: { name?: unknown }[] }[]) : [];
  const names = cards.flatMap((card) => card.items ?? []).flatMap((item) => (typeof item.name === "string" ? [item.name] : []));
  return (
    <div className={cx(tests.got, tests.wrong)}>
      <div className={layout.badges}>
        <span className={layout.soft}>{t("tests.got")}</span>
        {outcome && <Badge tone="bad">{t(`tests.outcome.${outcome}`)}</Badge>}
      </div>
      {typeof reply["text"] === "string" && <p>{reply["text"]}</p>}
      {names.length > 0 && <p className={layout.soft}>{names.join(" · ")}</p>}
    </div>
  );
}
