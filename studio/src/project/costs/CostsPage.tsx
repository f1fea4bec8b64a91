import { type ReactNode, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";

import { useMay, useProject } from "../../api/queries";
import { LineChart } from "../../charts/LineChart";
import { formatDay, formatMoney, formatNumber, formatShare } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { Range, Select } from "../../ui/Field";
import { NumberField } from "../../ui/NumberField";
import { type Bounds, fits } from "../../ui/numbers";
import { PointWords } from "../../ui/PointWords";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { useRemember } from "../data/queries";
import styles from "./Costs.module.css";
import { type CostQuery, type Costs, useCosts, usePrices } from "./queries";

/** What may be asked: what the address holds beyond it is left out. */
const BOUNDS = {
  requests_per_day: { least: 1, most: 1e9 },
  price_in: { least: 0, most: 1e6 },
  price_out: { least: 0, most: 1e6 },
  tokens_in: { least: 0, most: 1e7 },
  tokens_out: { least: 0, most: 1e7 },
  share: { least: 0, most: 1 },
  machine_usd_per_hour: { least: 0, most: 1e4 },
  watts: { least: 0, most: 1e5 },
  usd_per_kwh: { least: 0, most: 100 },
  months: { least: 1, most: 60, whole: true },
} satisfies Record<string, Bounds>;
type NumberName = keyof typeof BOUNDS;
const NUMBERS = Object.keys(BOUNDS) as NumberName[];
const OWN = "own";
/** What both this page and the first answer on the data's page assume: kept with the project, by the names of its settings. */
const KEPT: Readonly<Partial<Record<NumberName | "model", string>>> = { requests_per_day: "requests", model: "model", machine_usd_per_hour: "machine", tokens_in: "tokens_in", tokens_out: "tokens_out" };
const KEEP_MS = 400;
const DAYS_A_MONTH = 365 / 12;
const MOST_PER_DAY = 6;
/** The slider of requests is logarithmic: this many steps for each power of ten. */
const STEPS = 20;
const SPANS = [12, 24, 36];

/** What the model saves: sliders, the day when it has paid, and the sum in words. */
export function CostsPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const [search, setSearch] = useSearchParams();
  const asked = new Map(NUMBERS.flatMap((name) => {
    const value = Number(search.get(name) || Number.NaN);
    return fits(value, BOUNDS[name]) ? [[name, value] as const] : [];
  }));
  const model = search.get("model");
  const query: CostQuery = { ...Object.fromEntries(asked), ...(model === null ? {} : { model }) };
  const costs = useCosts(project, query);
  // A second field that is changed before the address has the first keeps both: the router does not queue its changes.
  const latest = useRef(search);
  useEffect(() => {
    latest.current = search;
  }, [search]);
  const keep = useKeep(project);
  const put = (name: NumberName | "model", value: string | null) => {
    keep(name, value);
    const next = new URLSearchParams(latest.current);
    if (value === null || value === "") next.delete(name);
    else next.set(name, value);
    latest.current = next;
    setSearch(next, { replace: true });
  };
  if (costs.error && !costs.data) {
    return (
      <>
        <PageTitle title={t("nav.costs")} about={t("costs.about")} />
        <Problem query={costs} />
        {search.size > 0 && <Button onClick={() => setSearch({})}>{t("costs.ownNumbers")}</Button>}
      </>
    );
  }
  if (!costs.data) return <Skeleton label={t("common.loading")} />;
  return (
    <>
      <PageTitle title={t("nav.costs")} about={t("costs.about")} />
      <Problem query={costs} />
      <div className={styles.page}>
        <Questions costs={costs.data} asked={asked} model={model} put={put} />
        <div className={styles.results}>
          <Answer costs={costs.data} />
          <Sum costs={costs.data} />
          <Others costs={costs.data} onChoose={(name) => put("model", name)} />
        </div>
      </div>
    </>
  );
}

/** Keep an assumption with the project, once it has not been changed for a while. A price of one's own stays in the address. */
function useKeep(project: string): (name: NumberName | "model", value: string | null) => void {
  const settings = useProject(project).data?.settings;
  const may = useMay("edit");
  const remember = useRemember(project);
  const changes = useRef<Record<string, unknown>>({});
  const timer = useRef(0);
  return (name, value) => {
    const kept = KEPT[name];
    if (kept === undefined || !may || value === OWN) return;
    changes.current[kept] = name === "model" ? (value ?? "") : value === null || value === "" ? null : name === "requests_per_day" ? Math.round(Number(value) * DAYS_A_MONTH) : Number(value);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      remember.mutate({ look: { ...(settings?.["look"] as object | undefined), ...changes.current } });
      changes.current = {};
    }, KEEP_MS);
  };
}

function Questions({ costs, asked, model, put }: { costs: Costs; asked: ReadonlyMap<NumberName, number>; model: string | null; put: (name: NumberName | "model", value: string | null) => void }): ReactNode {
  const { t } = useTranslation();
  const prices = usePrices();
  const perDay = asked.get("requests_per_day") ?? costs.requests_per_day;
  const share = asked.get("share") ?? costs.share;
  const machine = asked.get("machine_usd_per_hour") ?? costs.machine_usd_per_hour;
  const options = [
    { value: "", label: model === null ? t("costs.assumedModel", { name: costs.against[0]?.name ?? "" }) : t("costs.usualModel") },
    ...(prices.data ?? []).map((one) => ({ value: one.name, label: `${one.name} · ${formatMoney(one.input)} / ${formatMoney(one.output)}` })),
    { value: OWN, label: t("costs.ownPrice") },
  ];
  const number = (name: NumberName, shown: number) => (
    <NumberField {...BOUNDS[name]} label={t(`costs.${name}`)} value={asked.get(name) ?? shown} onChange={(value) => put(name, value === null ? null : String(value))} />
  );
  return (
    <Card title={t("costs.yourCase")} className={styles.questions}>
      <Range label={t("costs.requests_per_day")} shown={formatNumber(perDay, { maximumFractionDigits: 0 })} min={0} max={MOST_PER_DAY * STEPS} step={1} value={Math.round(Math.log10(Math.max(1, perDay)) * STEPS)} onChange={(event) => put("requests_per_day", String(twoDigits(10 ** (Number(event.target.value) / STEPS))))} />
      <Range label={t("costs.share")} help={costs.share_from !== "given" && costs.point ? <PointWords point={costs.point} /> : t(`costs.shareFrom.${costs.share_from}`)} shown={formatShare(share)} min={0} max={100} step={1} value={Math.round(share * 100)} onChange={(event) => put("share", String(Number(event.target.value) / 100))} />
      <Select label={t("costs.model")} help={t("costs.modelHelp", { date: formatDay(costs.prices_as_of) })} value={model ?? ""} options={options} onChange={(event) => put("model", event.target.value)} />
      {model === OWN && (
        <div className={styles.pair}>
          {number("price_in", 0)}
          {number("price_out", 0)}
        </div>
      )}
      <div className={styles.pair}>
        {number("tokens_in", Math.max(1, Math.round(costs.tokens_in)))}
        {number("tokens_out", Math.max(1, Math.round(costs.tokens_out)))}
      </div>
      <p className={styles.note}>{t(`costs.tokensFrom.${costs.tokens_from}`)}</p>
      <Range label={t("costs.machine_usd_per_hour")} help={t("costs.machineHelp")} shown={machine === 0 ? t("costs.machineOwned") : t("costs.anHour", { price: formatMoney(machine, 3) })} min={0} max={0.5} step={0.005} value={machine} onChange={(event) => put("machine_usd_per_hour", event.target.value)} />
      <div className={styles.pair}>
        {number("watts", 0)}
        {number("usd_per_kwh", 0)}
      </div>
      <Select label={t("costs.months")} value={String(costs.months.length)} options={[...new Set([...SPANS, costs.months.length])].map((months) => ({ value: String(months), label: t("costs.span", { count: months }) }))} onChange={(event) => put("months", event.target.value)} />
    </Card>
  );
}

function twoDigits(value: number): number {
  return Number(value.toPrecision(2));
}

function Answer({ costs }: { costs: Costs }): ReactNode {
  const { t } = useTranslation();
  const months = costs.months.length;
  const { payback_month: pays, saved_usd: saved, from_requests: from } = costs.both;
  const monthly = costs.saved_per_month_usd;
  const [large] = costs.against;
  const name = large?.name === OWN ? t("costs.theLarge") : (large?.name ?? "");
  const llm = running(costs.months.map((month) => month.llm_usd), 0);
  const owned = monthly + (costs.months[0]?.slm_usd ?? 0); // what it saves on a machine that costs nothing
  const both = running(costs.months.map((month) => month.hybrid_usd), costs.build_usd);
  return (
    <Card>
      <div className={styles.headline}>
        <div>
          <p className={styles.label}>{t(monthly >= 0 ? "costs.savedMonthly" : "costs.lostMonthly")}</p>
          <p className={styles.big} data-good={monthly >= 0}>
            {Math.abs(monthly) < 1 ? t("common.nextToNothing") : formatMoney(Math.abs(monthly), Math.abs(monthly) >= 1_000 ? 0 : 2)}
          </p>
        </div>
        <div className={styles.verdict}>
          <Badge tone={pays !== null && pays <= months ? "good" : "warn"}>{pays === null ? t("costs.never") : t("costs.paysIn", { month: pays })}</Badge>
          <p>{pays === null ? (from === null ? t("costs.neverAny", { name }) : t("costs.cheaperFrom", { name, requests: formatNumber(Math.ceil((from * 12) / 365)) })) : t(saved >= 0 ? "costs.savedOver" : "costs.lostOver", { amount: formatMoney(Math.abs(saved), 0), count: months, name })}</p>
          {monthly < 0 && owned > 0 && <p>{t("costs.ownedSaves", { amount: formatMoney(owned) })}</p>}
        </div>
      </div>
      <LineChart
        x={costs.months.map((month) => month.number)}
        xLabel={t("costs.month")}
        lines={[
          { label: t("costs.bothLine"), values: both },
          { label: t(large?.name === OWN ? "costs.largeLineOwn" : "costs.largeLine", { name }), values: llm },
        ]}
        summary={t("costs.chart", { count: months, large: formatMoney(llm.at(-1) ?? 0), both: formatMoney(both.at(-1) ?? 0) })}
        format={wholeMoney}
        height={230}
      />
    </Card>
  );
}

function wholeMoney(value: number): string {
  return formatMoney(value, Math.abs(value) < 10 && value !== 0 ? 2 : 0);
}

function running(values: readonly number[], start: number): number[] {
  let sum = start;
  return values.map((value) => (sum += value));
}

/** The first month's sum, line by line. */
function Sum({ costs }: { costs: Costs }): ReactNode {
  const { t } = useTranslation();
  const [first] = costs.months;
  const [large] = costs.against;
  if (!first || !large) return null;
  const name = large.name === OWN ? t("costs.theLarge") : large.name;
  const passed = first.llm_usd * (1 - costs.share);
  const lines = [
    { text: t("costs.sumLarge", { requests: formatNumber(first.requests, { maximumFractionDigits: 0 }), price: formatMoney(large.usd_per_request, 6), name }), amount: first.llm_usd },
    { text: t("costs.sumPassed", { share: formatShare(1 - costs.share), name }), amount: -passed },
    { text: t("costs.sumMachine", { count: first.machines, machines: formatNumber(first.machines) }), amount: -first.slm_usd },
  ];
  return (
    <Card title={t("costs.sum")} note={t("costs.sumNote")}>
      <table className={styles.sum}>
        <tbody>
          {lines.map((line) => (
            <tr key={line.text}>
              <th scope="row">{line.text}</th>
              <td className="numbers">{formatMoney(line.amount)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">{t(costs.saved_per_month_usd >= 0 ? "costs.savedMonthly" : "costs.lostMonthly")}</th>
            <td className="numbers">{formatMoney(costs.saved_per_month_usd)}</td>
          </tr>
        </tfoot>
      </table>
      <p className={styles.note}>
        {t("costs.build", { amount: formatMoney(costs.build_usd) })} {costs.energy_usd_per_month > 0 && t("costs.energy", { amount: formatMoney(costs.energy_usd_per_month) })} {costs.training_wh !== null && t("costs.training", { energy: formatNumber(costs.training_wh, { maximumSignificantDigits: 3 }) })}
      </p>
      {first.machines > 1 && <Notice>{t("costs.moreMachines", { count: first.machines, machines: formatNumber(first.machines) })}</Notice>}
    </Card>
  );
}

function Others({ costs, onChoose }: { costs: Costs; onChoose: (name: string) => void }): ReactNode {
  const { t } = useTranslation();
  if (costs.against.length < 2) return null;
  return (
    <Card title={t("costs.others")} note={t("costs.othersNote", { count: costs.months.length })}>
      <div className={styles.wide} tabIndex={0} role="region" aria-label={t("costs.others")}>
        <table className={styles.others}>
          <thead>
            <tr>
              <th scope="col">{t("costs.model")}</th>
              <th scope="col">{t("costs.perThousand")}</th>
              <th scope="col">{t("costs.alone")}</th>
              <th scope="col">{t("costs.saved")}</th>
              <th scope="col">{t("costs.pays")}</th>
            </tr>
          </thead>
          <tbody>
            {costs.against.map((one) => (
              <tr key={one.name}>
                <th scope="row">
                  <button type="button" onClick={() => onChoose(one.name)}>
                    {one.name}
                  </button>
                </th>
                <td className="numbers">{formatMoney(one.usd_per_request * 1_000)}</td>
                <td className="numbers">{formatMoney(one.llm_usd, 0)}</td>
                <td className="numbers">{formatMoney(one.saved_usd, 0)}</td>
                <td>{one.payback_month === null ? t("costs.never") : t("costs.inMonth", { month: one.payback_month })}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
