import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";

import { formatNumber, formatWhen } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { Choice } from "../../ui/Choice";
import { cx } from "../../ui/cx";
import { Badge, Empty, Notice, Skeleton } from "../../ui/Feedback";
import { Search, Select } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { useChannels } from "../channels/queries";
import layout from "../../ui/Layout.module.css";
import styles from "./Conversations.module.css";
import { Corrections } from "./Corrections";
import { type Head, TALKS_PER_PAGE, useTalks } from "./queries";
import { TalkPane } from "./TalkPane";
import { toneOf } from "./tone";

const OUTCOMES = ["answered", "asked", "proposed", "done", "cancelled", "failed", "handed_over", "unanswered"] as const;
const VIEWS = ["talks", "corrections"] as const;

/** The place of the page in its address: the view, the choice of conversations, and the one that is open. */
function usePlace() {
  const [search, setSearch] = useSearchParams();
  function go(values: Record<string, string | null>, replace = true): void {
    setSearch(
      (old) => {
        for (const [name, value] of Object.entries(values)) {
          if (value === null || value === "") old.delete(name);
          else old.set(name, value);
        }
        return old;
      },
      { replace },
    );
  }
  return { get: (name: string) => search.get(name), page: Math.max(0, Number(search.get("page") ?? 0) || 0), go };
}

/** What customers said and what the desk did: read it, answer as a person, and say what it should have done. */
export function ConversationsPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const place = usePlace();
  const view = place.get("view") === "corrections" ? "corrections" : "talks";
  return (
    <>
      <PageTitle title={t("nav.conversations")} about={t("talks.about")} />
      <div className={styles.page}>
        <Choice label={t("talks.view")} value={view} options={VIEWS.map((name) => ({ value: name, label: t(`talks.views.${name}`) }))} onChange={(next) => place.go({ view: next === "talks" ? null : next, page: null })} />
        {view === "corrections" ? <Corrections project={project} /> : <Talks project={project} place={place} />}
      </div>
    </>
  );
}

function Talks({ project, place }: { project: string; place: ReturnType<typeof usePlace> }): ReactNode {
  const { t } = useTranslation();
  const channels = useChannels(project).data?.channels ?? [];
  const choice = { outcome: place.get("outcome"), channel: place.get("channel"), status: place.get("status"), thumb: place.get("thumb") };
  const [text, setText] = useState(place.get("q") ?? "");
  const talks = useTalks(project, { ...choice, text, page: place.page });
  const open = place.get("open");
  const total = talks.data?.total ?? 0;
  const first = place.page * TALKS_PER_PAGE;
  const narrowed = text !== "" || Object.values(choice).some(Boolean);
  const pick = (name: keyof typeof choice) => (event: { target: { value: string } }) => place.go({ [name]: event.target.value, page: null });
  return (
    <>
      <div className={cx(styles.filters, open !== null && styles.behind)}>
        <Select label={t("talks.status")} value={choice.status ?? ""} onChange={pick("status")} options={[{ value: "", label: t("talks.all") }, ...(["with_person", "open", "closed"] as const).map((value) => ({ value, label: value === "with_person" ? t("talks.waitingFor", { number: formatNumber(talks.data?.waiting ?? 0) }) : t(`talks.statuses.${value}`) }))]} />
        <Select label={t("talks.outcome")} value={choice.outcome ?? ""} onChange={pick("outcome")} options={[{ value: "", label: t("talks.all") }, ...OUTCOMES.map((value) => ({ value, label: t(`talks.outcomes.${value}`) }))]} />
        <Select label={t("talks.channel")} value={choice.channel ?? ""} onChange={pick("channel")} options={[{ value: "", label: t("talks.all") }, { value: "widget", label: t("channels.kind.widget") }, ...channels.map(({ kind }) => ({ value: kind, label: t(`channels.kind.${kind}`, { defaultValue: kind }) }))]} />
        <Select label={t("talks.thumb")} value={choice.thumb ?? ""} onChange={pick("thumb")} options={[{ value: "", label: t("talks.all") }, { value: "down", label: t("talks.thumbs.down") }, { value: "up", label: t("talks.thumbs.up") }]} />
        {talks.data?.masked === false && (
          <Search
            label={t("talks.search")}
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              place.go({ q: event.target.value, page: null });
            }}
          />
        )}
      </div>
      {talks.data?.masked && <Notice>{t("talks.masked")}</Notice>}
      <Problem query={talks} />
      {!talks.data && !talks.error && <Skeleton label={t("common.loading")} />}
      {talks.data && total === 0 && open === null && (
        <Empty icon="chat" title={t(narrowed ? "talks.noneFit" : "talks.none")} actions={!narrowed && <ButtonLink to={`/projects/${project}/run`}>{t("nav.run")}</ButtonLink>}>
          {t(narrowed ? "talks.noneFitAbout" : "talks.noneAbout")}
        </Empty>
      )}
      {(total > 0 || open !== null) && (
        <div className={cx(styles.panes, open !== null && styles.opened)}>
          <div className={styles.side}>
            {total === 0 && <p className={layout.soft}>{t("talks.noneFit")}</p>}
            <ul className={styles.list} aria-label={t("talks.views.talks")}>
              {talks.data?.conversations.map((head) => <OneHead key={head.id} head={head} chosen={head.id === open} onOpen={() => place.go({ open: head.id }, false)} />)}
            </ul>
            {total > TALKS_PER_PAGE && (
              <div className={styles.pages}>
                <Button small disabled={place.page === 0} onClick={() => place.go({ page: String(place.page - 1) })}>
                  {t("run.newer")}
                </Button>
                <span className="numbers">{t("run.pageOf", { from: formatNumber(first + 1), to: formatNumber(Math.min(total, first + TALKS_PER_PAGE)), total: formatNumber(total) })}</span>
                <Button small disabled={first + TALKS_PER_PAGE >= total} onClick={() => place.go({ page: String(place.page + 1) })}>
                  {t("run.older")}
                </Button>
              </div>
            )}
          </div>
          {open === null ? <p className={styles.choose}>{t("talks.choose")}</p> : <TalkPane key={open} project={project} id={open} onClose={() => place.go({ open: null })} />}
        </div>
      )}
    </>
  );
}

function OneHead({ head, chosen, onOpen }: { head: Head; chosen: boolean; onOpen: () => void }): ReactNode {
  const { t } = useTranslation();
  return (
    <li>
      <button type="button" aria-current={chosen || undefined} onClick={onOpen}>
        <span className={styles.first}>{head.first || t("talks.noWords")}</span>
        <span className={styles.meta}>
          {head.status === "with_person" ? <Badge tone="warn" icon="people">{t("talks.statuses.with_person")}</Badge> : head.outcome !== "" && <Badge tone={toneOf(head.outcome)}>{t(`talks.outcomes.${head.outcome}`, { defaultValue: head.outcome })}</Badge>}
          <span>{t(`channels.kind.${head.channel}`, { defaultValue: head.channel })}</span>
          <time>{formatWhen(new Date(head.changed * 1000))}</time>
        </span>
      </button>
    </li>
  );
}
