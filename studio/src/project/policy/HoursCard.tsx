import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { formatDay } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { TextField } from "../../ui/Field";
import { type Day, DAYS, hoursOf, type PolicyPart, type Span, spansOf, textsAt } from "./form";
import layout from "../../ui/Layout.module.css";
import styles from "./Policy.module.css";

const USUAL: Span = { from: "09:00", to: "17:00" };

/** When people of the business are there: hours of each day, and dates on which nobody is. */
export function HoursCard({ form, set, policy, may }: PolicyPart): ReactNode {
  const { t } = useTranslation();
  const { hours } = form;
  const put = (change: Partial<typeof hours>) => set({ ...form, hours: { ...hours, ...change } });
  return (
    <Card title={t("policy.hours")} note={t("policy.hoursAbout")}>
      <div className={layout.stack}>
        <div className={styles.week}>
          {DAYS.map((day) => (
            <DayHours key={day} day={day} value={hours[day]} fault={textsAt(policy.mistakes, `hours.${day}`)} may={may} onChange={(value) => put({ [day]: value })} />
          ))}
        </div>
        <div className={layout.fields}>
          <TextField label={t("policy.zone")} help={t("policy.zoneHelp")} list="zones" disabled={!may} error={told(textsAt(policy.mistakes, "hours.timezone")) || undefined} value={hours.timezone} onChange={(event) => put({ timezone: event.target.value })} />
          <datalist id="zones">
            {Intl.supportedValuesOf("timeZone").map((zone) => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
          <Closed dates={hours.closed} may={may} fault={textsAt(policy.mistakes, "hours.closed")} onChange={(closed) => put({ closed })} />
        </div>
      </div>
    </Card>
  );
}

function DayHours({ day, value, fault, may, onChange }: { day: Day; value: string; fault: string; may: boolean; onChange: (value: string) => void }): ReactNode {
  const { t } = useTranslation();
  const spans = spansOf(value);
  const name = t(`policy.day.${day}`);
  const change = (place: number, part: Partial<Span>) => onChange(hoursOf(spans.map((span, number) => (number === place ? { ...span, ...part } : span))));
  return (
    <div className={styles.day} role="group" aria-label={name}>
      <strong>{name}</strong>
      <div className={styles.spans}>
        {spans.length === 0 && <span className={layout.soft}>{t("policy.closedDay")}</span>}
        {spans.map((span, place) => (
          <span key={place} className={styles.span}>
            <input type="time" aria-label={t("policy.opens", { day: name })} disabled={!may} value={span.from} onChange={(event) => change(place, { from: event.target.value })} />
            <span aria-hidden="true">–</span>
            <input type="time" aria-label={t("policy.closes", { day: name })} disabled={!may} value={span.to === "24:00" ? "23:59" : span.to} onChange={(event) => change(place, { to: event.target.value })} />
            <IconButton icon="close" small label={t("policy.removeHours", { day: name })} disabled={!may} onClick={() => onChange(hoursOf(spans.filter((_, number) => number !== place)))} />
          </span>
        ))}
        <Button small kind="quiet" icon="plus" disabled={!may} aria-label={t("policy.addHoursOf", { day: name })} onClick={() => onChange(hoursOf([...spans, USUAL]))}>
          {t("policy.addHours")}
        </Button>
        {fault && <p className={styles.fault}>{told(fault)}</p>}
      </div>
    </div>
  );
}

function Closed({ dates, may, fault, onChange }: { dates: readonly string[]; may: boolean; fault: string; onChange: (dates: string[]) => void }): ReactNode {
  const { t } = useTranslation();
  const [date, setDate] = useState("");
  return (
    <div className={layout.stack}>
      <TextField label={t("policy.closed")} type="date" disabled={!may} error={told(fault) || undefined} value={date} onChange={(event) => setDate(event.target.value)} />
      <div className={styles.dates}>
        <Button
          small
          icon="plus"
          disabled={!may || !date || dates.includes(date)}
          onClick={() => {
            onChange([...dates, date].sort());
            setDate("");
          }}
        >
          {t("policy.addDate")}
        </Button>
        {dates.map((one) => (
          <span key={one} className={styles.step}>
            <b>{shownDate(one)}</b>
            <IconButton icon="close" small label={t("policy.removeDate", { date: one })} disabled={!may} onClick={() => onChange(dates.filter((each) => each !== one))} />
          </span>
        ))}
      </div>
    </div>
  );
}

function shownDate(date: string): string {
  return Number.isNaN(new Date(date).getTime()) ? date : formatDay(date);
}
