import type { TFunction } from "i18next";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { isUnfinished, useMay, useRuns, useStartRun } from "../../api/queries";
import { formatMoney, formatNumber, formatShare, formatTime } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { cx } from "../../ui/cx";
import { Empty, Notice, Skeleton } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";
import { RunFailure } from "../../ui/RunFailure";
import { DayChart } from "./DayChart";
import { type Figures, type Group, type Serving, type Traffic, useTraffic } from "./queries";
import { Requests } from "./Requests";
import styles from "./Run.module.css";
import { PERIODS, useTrafficPlace } from "./trafficPlace";

/** Live traffic: each figure is a button that shows the requests behind it. */
export function TrafficCard({ project, serving }: { project: string; serving: Serving }): ReactNode {
  const { t } = useTranslation();
  const place = useTrafficPlace();
  const traffic = useTraffic(project, Number(place.days));
  const figures = traffic.data?.figures;
  return (
    <Card
      title={t("run.traffic")}
      note={t("run.trafficAbout")}
      actions={
        <Choice label={t("run.period")} value={place.days} options={PERIODS.map((period) => ({ value: period, label: t(`run.periods.${period}`) }))} onChange={(days) => place.go({ days, page: null })} />
      }
    >
      <Problem query={traffic} />
      {!traffic.data && !traffic.error && <Skeleton label={t("common.loading")} lines={3} />}
      {traffic.data && (!figures || figures.requests === 0) && (
        <Empty icon="chat" title={t("run.noTraffic")}>
          {serving.state === "running" ? t("run.noTrafficRunning") : t("run.noTrafficStopped")}
        </Empty>
      )}
      {traffic.data && figures && figures.requests > 0 && <Shown project={project} traffic={traffic.data} figures={figures} serving={serving} />}
    </Card>
  );
}

interface Tile {
  name: string;
  value: string;
  about: string;
  group: Group;
  main?: boolean;
}

function tiles(figures: Figures, t: TFunction): readonly Tile[] {
  const ms = (value: number) => t("run.ms", { ms: formatNumber(value, { maximumSignificantDigits: 3 }) });
  const found: Tile[] = [
    { name: t("run.shareHere"), value: formatShare(figures.local / figures.requests), about: t("run.ofRequests", { local: formatNumber(figures.local), requests: formatNumber(figures.requests) }), group: "local", main: true },
    { name: t("run.passedOn"), value: formatNumber(figures.passed_on), about: figures.upstream_ms ? t("run.tookThere", { median: ms(figures.upstream_ms.median) }) : t("run.passedOnAbout"), group: "passed_on" },
  ];
  if (figures.local_ms) found.push({ name: t("run.latency"), value: ms(figures.local_ms.median), about: t("run.slowest", { p99: ms(figures.local_ms.p99) }), group: "local" });
  found.push(moneyTile(figures, t));
  if (figures.uncertified > 0) found.push({ name: t("run.uncertified"), value: formatNumber(figures.uncertified), about: t("run.uncertifiedAbout"), group: "uncertified" });
  found.push({ name: t("run.audits"), value: formatNumber(figures.audited), about: t("run.auditsAbout"), group: "audited" });
  if (figures.corrected > 0) found.push({ name: t("run.corrected"), value: formatNumber(figures.corrected), about: t("run.correctedAbout"), group: "corrected" });
  if (figures.failed > 0) found.push({ name: t("run.failedRequests"), value: formatNumber(figures.failed), about: t("run.failedAbout"), group: "failed" });
  return found;
}

/** What the model's own answers saved; as long as there are none, what the large model's cost. */
function moneyTile(figures: Figures, t: TFunction): Tile {
  const money = (usd: number) => formatMoney(usd, usd < 1 ? 4 : 2);
  const spends = figures.local === 0;
  const priced = spends ? figures.unpriced < figures.passed_on : figures.unsaved < figures.local;
  const name = t(spends ? "run.spentThere" : "run.saved");
  if (!priced) return { name, value: "–", about: t("run.noPrice"), group: "unpriced" };
  if (spends) return { name, value: money(figures.cost_usd), about: t("run.spentThereAbout"), group: "passed_on" };
  return { name, value: money(figures.saved_usd), about: t("run.spent", { spent: money(figures.cost_usd) }), group: "local" };
}

const SMALL_WH = 0.1;

function energy(wh: number, t: TFunction): string {
  const digits = { maximumSignificantDigits: 3 };
  return wh < SMALL_WH ? t("run.mwh", { mwh: formatNumber(wh * 1_000, digits) }) : t("run.wh", { wh: formatNumber(wh, digits) });
}

/** The energy that its answers saved, beside what they took; only the latter where the saving is not known. */
function Energy({ traffic, used, pressed, onClick }: { traffic: Traffic; used: number; pressed: boolean; onClick: () => void }): ReactNode {
  const { t } = useTranslation();
  const saved = traffic.energy_saved_wh;
  const how = traffic.energy_measured ? t("run.energyMeasured") : t("run.energyEstimated");
  const known = saved !== null && saved > 0;
  return (
    <button type="button" className={styles.tile} aria-pressed={pressed} onClick={onClick}>
      <span>{t(known ? "run.energySaved" : "run.energy")}</span>
      <strong>{energy(known ? saved : used, t)}</strong>
      <small>{known ? t("run.energySavedAbout", { used: energy(used, t), wh: formatNumber(traffic.energy_large_model_wh) }) : how}</small>
    </button>
  );
}

function Shown({ project, traffic, figures, serving }: { project: string; traffic: Traffic; figures: Figures; serving: Serving }): ReactNode {
  const { t } = useTranslation();
  const place = useTrafficPlace();
  const show = (group: Group, why: string | null = null) => place.go(place.group === group && place.why === why ? { show: null, why: null, page: null } : { show: group, why, page: null });
  const reasons = Object.entries(figures.reasons);
  return (
    <div className={styles.traffic}>
      <div className={styles.tiles}>
        {tiles(figures, t).map((tile) => (
          <button key={tile.name} type="button" className={cx(styles.tile, tile.main && styles.main)} aria-pressed={place.group === tile.group && place.why === null} onClick={() => show(tile.group)}>
            <span>{tile.name}</span>
            <strong>{tile.value}</strong>
            <small>{tile.about}</small>
          </button>
        ))}
        {traffic.energy_wh !== null && <Energy traffic={traffic} used={traffic.energy_wh} pressed={place.group === "local" && place.why === null} onClick={() => show("local")} />}
      </div>
      <DayChart days={figures.days} />
      {reasons.length > 0 && (
        <section className={styles.reasons} aria-label={t("run.reasons")}>
          <h3>{t("run.reasons")}</h3>
          <ul>
            {reasons.map(([why, count]) => (
              <li key={why}>
                <button type="button" aria-pressed={place.why === why} onClick={() => show("all", why)}>
                  <span>{t(`run.why.${why.replaceAll(" ", "_")}`, { defaultValue: why })}</span>
                  <span className="numbers">{formatNumber(count)}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Drift project={project} traffic={traffic} model={serving.settings.model} />
      {place.group !== null && <Requests project={project} />}
      {place.group === null && (
        <div>
          <Button small onClick={() => show("all")}>
            {t("run.showAll")}
          </Button>
        </div>
      )}
    </div>
  );
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

interface DriftFound {
  at: number;
  alarm: boolean;
  moved: readonly string[];
}

/** The texts that differ most from the earlier ones, as the last look found them. */
function oddTexts(result: Record<string, unknown> | null | undefined): readonly string[] {
  const tests = (result?.["tests"] ?? []) as readonly { alarm: boolean; examples: readonly string[] }[];
  return tests.find((test) => test.alarm && test.examples.length > 0)?.examples ?? [];
}

function Drift({ project, traffic, model }: { project: string; traffic: Traffic; model: string }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const start = useStartRun(project);
  const last = useRuns(project).data?.find((run) => run.kind === "drift");
  if (model === "") return null;
  const found = traffic.drift as unknown as DriftFound | null;
  const going = start.isPending || (last !== undefined && isUnfinished(last));
  const few = last?.state === "done" && last.result?.["looked"] === false ? asText(last.result["why"]) : "";
  const odd = found?.alarm && last?.state === "done" ? oddTexts(last.result) : [];
  const moved = found?.moved.map((what) => t(`run.moved.${what}`, { defaultValue: what })).join(", ") ?? "";
  return (
    <section className={styles.drift} aria-label={t("run.drift")}>
      <div>
        <h3>{t("run.drift")}</h3>
        <p className={styles.soft}>{found ? t("run.driftAt", { when: formatTime(new Date(found.at * 1000).toISOString()) }) : t("run.driftAbout")}</p>
      </div>
      <Button small icon="search" busy={going} disabled={!may} title={may ? undefined : t("run.notAllowed")} onClick={() => start.mutate({ kind: "drift", request: { model } })}>
        {t("run.driftLook")}
      </Button>
      <Problem query={{ error: start.error }} />
      <RunFailure run={last} />
      {few && <Notice>{t("run.driftFew", { why: told(few) })}</Notice>}
      {found && !few && <Notice tone={found.alarm ? "warn" : "good"}>{found.alarm ? t("run.drifted", { moved }) : t("run.notDrifted")}</Notice>}
      {odd.length > 0 && !few && (
        <details>
          <summary>{t("run.driftTexts")}</summary>
          <ul>
            {odd.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
