import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { formatNumber } from "../../i18n";
import { ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { CodeBlock } from "../../ui/Code";
import { Notice } from "../../ui/Feedback";
import { useDeskFigures } from "../conversations/queries";
import { Counters } from "./Counters";
import type { Serving } from "./queries";
import styles from "./Run.module.css";

/** A desk at work: the line for your site, a page to see it on, and what it did today. */
export function DeskCard({ project, serving }: { project: string; serving: Serving }): ReactNode {
  const { t } = useTranslation();
  const figures = useDeskFigures(project, 1, true).data;
  const { desk } = serving;
  return (
    <Card title={t("run.desk")} note={t("run.deskAbout")} actions={<ButtonLink small to={`/projects/${project}/channels`}>{t("nav.channels")}</ButtonLink>}>
      <div className={styles.call}>
        {desk ? <CodeBlock code={desk.script} label={t("channels.script")} copy /> : <Notice>{t("run.deskLater")}</Notice>}
        {desk && (
          <p className={styles.soft}>
            {serving.state === "running" ? <a href={desk.preview} target="_blank" rel="noreferrer">{t("run.deskPreview")}</a> : t("run.deskPreview")}
            {desk.public === "" && ` · ${t("channels.scriptLocal")}`}
          </p>
        )}
        {serving.uncalled.length > 0 && <Notice tone="warn" action={<ButtonLink small to={`/projects/${project}/tools`}>{t("nav.tools")}</ButtonLink>}>{t("run.deskUncalled", { tools: serving.uncalled.join(", ") })}</Notice>}
        {desk?.outdated && <Notice tone="warn" action={<ButtonLink small to={`/projects/${project}/channels`}>{t("nav.channels")}</ButtonLink>}>{t("channels.outdated")}</Notice>}
        {figures && (
          <>
            <h3>{t("run.deskToday")}</h3>
            <div className={styles.counters}>
              <Counters
                figures={[
                  [t("run.deskMessages"), figures.messages, t("run.deskTalks", { count: figures.conversations, number: formatNumber(figures.conversations) })],
                  [t("talks.outcomes.answered"), (figures.outcomes["answered"] ?? 0) + (figures.outcomes["done"] ?? 0), t("run.deskAnswered")],
                  [t("talks.outcomes.unanswered"), figures.outcomes["unanswered"] ?? 0, t("run.deskUnanswered")],
                  [t("talks.outcomes.handed_over"), figures.handed_over, t("run.deskPeople", { count: figures.people, number: formatNumber(figures.people) })],
                  [t("run.deskThumbs"), figures.up + figures.down, t("run.deskUpDown", { up: formatNumber(figures.up), down: formatNumber(figures.down) })],
                ]}
              />
            </div>
            {figures.waiting > 0 && <p><Link to={`/projects/${project}/conversations?status=with_person`}>{t("run.deskWaiting", { count: figures.waiting, number: formatNumber(figures.waiting) })}</Link></p>}
          </>
        )}
      </div>
    </Card>
  );
}
