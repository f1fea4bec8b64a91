import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { formatMoney, formatNumber, formatTime } from "../../i18n";
import { AnswerLine, AnswerView } from "../../ui/answer/AnswerView";
import { Button } from "../../ui/Button";
import { Badge, Skeleton } from "../../ui/Feedback";
import { Search } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { answerText, parsedAnswer } from "./answers";
import { type Captured, REQUESTS_PER_PAGE, useRequests } from "./queries";
import styles from "./Run.module.css";
import { useTrafficPlace } from "./trafficPlace";

/** The captured requests behind a figure. */
export function Requests({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const place = useTrafficPlace();
  const found = useRequests(project, { group: place.group ?? "all", why: place.why, search: place.text, days: Number(place.days), page: place.page }, true);
  const [open, setOpen] = useState<Captured | null>(null);
  const total = found.data?.total ?? 0;
  const first = place.page * REQUESTS_PER_PAGE;
  return (
    <section className={styles.requests} aria-label={t("run.requests")}>
      <header>
        <h3>{place.why === null ? t(`run.group.${place.group ?? "all"}`) : t(`run.why.${place.why.replaceAll(" ", "_")}`, { defaultValue: place.why })}</h3>
        <Search label={t("run.searchRequests")} value={place.text} onChange={(event) => place.go({ q: event.target.value, page: null })} />
        <Button small kind="quiet" onClick={() => place.go({ show: null, why: null, q: null, page: null })}>
          {t("common.close")}
        </Button>
      </header>
      <Problem query={found} />
      {!found.data && !found.error && <Skeleton label={t("common.loading")} />}
      {found.data && total === 0 && <p className={styles.soft}>{t("run.noRequests")}</p>}
      <ul>
        {found.data?.requests.map((request) => (
          <li key={request.id}>
            <button type="button" onClick={() => setOpen(request)}>
              <span className={styles.said}>{request.input ?? t("run.notStored")}</span>
              <span className={styles.given}><AnswerLine value={parsedAnswer(request.answered_by === "local" ? request.local_output : request.answer)} text={request.input ?? ""} /></span>
              <Badge tone={request.answered_by === "local" ? "good" : "plain"}>{t(`run.by.${request.answered_by}`)}</Badge>
              <time className={styles.soft}>{formatTime(new Date(request.time * 1000).toISOString())}</time>
            </button>
          </li>
        ))}
      </ul>
      {total > REQUESTS_PER_PAGE && (
        <div className={styles.pages}>
          <Button small disabled={place.page === 0} onClick={() => place.go({ page: String(place.page - 1) })}>
            {t("run.newer")}
          </Button>
          <span className="numbers">{t("run.pageOf", { from: formatNumber(first + 1), to: formatNumber(Math.min(total, first + REQUESTS_PER_PAGE)), total: formatNumber(total) })}</span>
          <Button small disabled={first + REQUESTS_PER_PAGE >= total} onClick={() => place.go({ page: String(place.page + 1) })}>
            {t("run.older")}
          </Button>
        </div>
      )}
      {open && <OneRequest request={open} onClose={() => setOpen(null)} />}
    </section>
  );
}

function OneRequest({ request, onClose }: { request: Captured; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const ms = (value: number | null) => (value === null ? "" : t("run.ms", { ms: formatNumber(value, { maximumSignificantDigits: 3 }) }));
  const shown = (stored: string | null): ReactNode => (stored === null || stored === "" ? "" : <AnswerView value={parsedAnswer(stored)} text={request.input ?? ""} bare />);
  const rows: readonly (readonly [string, ReactNode])[] = [
    [t("run.answerSmall"), shown(request.local_output)],
    [t("run.scoreOf"), request.local_score === null || answerText(request.local_output) === "" ? "" : formatNumber(request.local_score, { maximumFractionDigits: 3 })],
    [request.model ? t("run.answerOf", { model: request.model }) : t("run.answerLarge"), shown(request.answer)],
    [t("run.answerAudit"), shown(request.audit_answer)],
    [t("run.answerPerson"), shown(request.corrected)],
    [t("run.whyPassed"), request.why === "" ? "" : t(`run.why.${request.why.replaceAll(" ", "_")}`, { defaultValue: request.why })],
    [t("run.got"), request.answered_by === "none" ? t(`run.got${gotten(request.status)}`, { status: String(request.status) }) : ""],
    [t("run.tookHere"), ms(request.local_ms)],
    [t("run.tookUp"), ms(request.upstream_ms)],
    [t("run.cost"), request.cost_usd === null ? "" : formatMoney(request.cost_usd, 6)],
    [t("run.saved"), request.saved_usd === null ? "" : formatMoney(request.saved_usd, 6)],
  ];
  return (
    <Dialog open wide onClose={onClose} title={t("run.request")} about={formatTime(new Date(request.time * 1000).toISOString())}>
      <p className={styles.whole}>{request.input ?? t("run.notStored")}</p>
      {request.altered && <p className={styles.soft}>{t("run.altered")}</p>}
      <dl className={styles.facts}>
        {rows
          .filter(([, value]) => value !== "")
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </Dialog>
  );
}

/** The kind of an error that a program got, by its status. */
function gotten(status: number): "Failed" | "Limited" | "Refused" {
  return status >= 500 ? "Failed" : status === 429 ? "Limited" : "Refused";
}
