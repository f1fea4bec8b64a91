import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber } from "../../i18n";
import type { Figures } from "./queries";
import styles from "./Run.module.css";

const HEIGHT = 96;
const STEP = 24;
const BAR = 16;
const FEWEST = 2;

/** Requests a day, by who answered: bars of two parts. The sentence below says the same in words. */
export function DayChart({ days }: { days: Figures["days"] }): ReactNode {
  const { t, i18n } = useTranslation();
  if (days.length < FEWEST) return null;
  const most = Math.max(1, ...days.map((day) => day.local + day.passed_on + day.other));
  const name = (day: string) => new Intl.DateTimeFormat(i18n.language, { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(day));
  const sum = (pick: "local" | "passed_on") => days.reduce((total, day) => total + day[pick], 0);
  const high = (count: number) => (count / most) * HEIGHT;
  const last = days.at(-1);
  return (
    <figure className={styles.chart}>
      <svg viewBox={`0 0 ${days.length * STEP} ${HEIGHT}`} preserveAspectRatio="none" height={HEIGHT} role="img" aria-label={t("run.chart", { local: formatNumber(sum("local")), passed: formatNumber(sum("passed_on")) })}>
        {days.map((day, place) => {
          const [local, passed] = [high(day.local), high(day.passed_on + day.other)];
          return (
            <g key={day.day}>
              <title>{t("run.chartDay", { day: name(day.day), local: formatNumber(day.local), passed: formatNumber(day.passed_on) })}</title>
              <rect x={place * STEP} y={0} width={STEP} height={HEIGHT} className={styles.ground} />
              <rect x={place * STEP + (STEP - BAR) / 2} y={HEIGHT - local} width={BAR} height={local} className={styles.here} />
              <rect x={place * STEP + (STEP - BAR) / 2} y={HEIGHT - local - passed} width={BAR} height={passed} className={styles.there} />
            </g>
          );
        })}
      </svg>
      <figcaption>
        <span>{name(days[0]?.day ?? "")}</span>
        <span className={styles.legend}>
          <i className={styles.hereMark} /> {t("run.answeredHere")}
          <i className={styles.thereMark} /> {t("run.passedOn")}
        </span>
        <span>{name(last?.day ?? "")}</span>
      </figcaption>
    </figure>
  );
}
