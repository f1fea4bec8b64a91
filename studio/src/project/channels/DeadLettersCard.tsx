import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useMay } from "../../api/queries";
import { formatNumber, formatWhen } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Skeleton } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";
import layout from "../../ui/Layout.module.css";
import styles from "./Channels.module.css";
import { useDeadLetters, useMoveLetter } from "./queries";

/** What could not be delivered: why, and again or never. */
export function DeadLettersCard({ project, number }: { project: string; number: number }): ReactNode {
  const { t } = useTranslation();
  const letters = useDeadLetters(project, number);
  const move = useMoveLetter(project);
  const may = useMay("edit");
  return (
    <Card title={t("channels.dead", { count: number, number: formatNumber(number) })} note={t("channels.deadAbout")}>
      <Problem query={letters} />
      <Problem query={{ error: move.error }} />
      {!letters.data && !letters.error && <Skeleton label={t("common.loading")} lines={2} />}
      <ul className={styles.letters}>
        {letters.data?.map((letter) => (
          <li key={letter.id}>
            <div>
              <p className={styles.letterText}>{letter.id.startsWith("event:") ? t(`channels.event.${letter.text}`, { defaultValue: letter.text }) : letter.text}</p>
              <p className={layout.soft}>
                {[placeName(t, letter.place), told(letter.error), t("channels.attempts", { count: letter.attempts }), formatWhen(new Date(letter.time * 1000))].join(" · ")}
                {letter.conversation !== "" && <>{" · "}<Link to={`/projects/${project}/conversations?open=${encodeURIComponent(letter.conversation)}`}>{t("channels.openTalk")}</Link></>}
              </p>
            </div>
            <Button small disabled={!may || move.isPending} onClick={() => move.mutate({ letter: letter.id, move: "retry" })}>
              {t("channels.retry")}
            </Button>
            <Button small kind="quiet" disabled={!may || move.isPending} onClick={() => move.mutate({ letter: letter.id, move: "drop" })}>
              {t("channels.drop")}
            </Button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function placeName(t: ReturnType<typeof useTranslation>["t"], place: string): string {
  const [first = "", second] = place.split(":");
  if (first === "hand_over") return t(`channels.way.${second}`, { defaultValue: place });
  return second ?? t(`channels.kind.${first}`, { defaultValue: first });
}
