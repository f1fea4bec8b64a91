import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import { memo, type ReactNode, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useModels } from "../../api/models";
import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Badge } from "../../ui/Feedback";
import { Icon } from "../../ui/icons";
import { candidateName } from "../../ui/settings";
import { type Alternative, type ReportView, useReport } from "../report/queries";
import { formatMegabytes, formatMetric, formatMilliseconds, formatSeconds, useMetricName } from "../report/wording";
import styles from "./Canvas.module.css";
import { settingsOf, withTaken } from "./graph";
import { portColour } from "./names";
import type { RecipeDraft } from "./useDraft";

/** A model that the last build tried, or that the next one will try. */
export interface Tried {
  id: string;
  student: string;
  /** Undefined for one that is to be tried. */
  row: Alternative | undefined;
  /** Its quality, time for an answer and size. */
  figures: string;
  chosen: boolean;
  view: ReportView | undefined;
}

const MARK = "tried:";
const MOST = 10;

/** The models side by side: those of the last build, as its report measured them, and those that the drawing names beside them. */
export function triedModels(view: ReportView | undefined, among: readonly string[]): Tried[] {
  const rows = view && view.report.alternatives.length > 1 ? view.report.alternatives : [];
  const found = rows.slice(0, MOST).map((row): Tried => {
    const parts = [
      row.accuracy && view ? formatMetric(view.report, view.report.headline, row.accuracy.value) : "",
      typeof row.latency_ms_p50 === "number" ? formatMilliseconds(row.latency_ms_p50) : "",
      typeof row.size_mb === "number" ? formatMegabytes(row.size_mb) : "",
    ];
    return { id: `${MARK}${row.name}`, student: row.student, row, figures: parts.filter(Boolean).join(" · "), chosen: row.chosen, view };
  });
  const built = new Set([...rows.map((row) => row.student), view?.report.student.kind]);
  const planned = among.filter((name) => !built.has(name)).map((name): Tried => ({ id: `${MARK}${name}`, student: name, row: undefined, figures: "", chosen: false, view }));
  return [...found, ...planned];
}

/** The models of the newest build and of the drawing. */
export function useTried(project: string, draft: RecipeDraft): readonly Tried[] {
  const newest = useModels(project)?.[0]?.id ?? "";
  const view = useReport(project, newest).data;
  const among = (draft.tree["student"] as { among?: unknown } | undefined)?.among;
  const names = Array.isArray(among) ? among.join("\n") : "";
  return useMemo(() => triedModels(view, names === "" ? [] : names.split("\n")), [view, names]);
}

export type TriedNodeType = Node<{ tried: Tried }, "tried">;

/** A model that was tried, beside the others: its figures, and which one was taken. */
export const TriedNode = memo(function TriedNode({ data: { tried }, selected }: NodeProps<TriedNodeType>): ReactNode {
  const { t } = useTranslation();
  return (
    <div className={cx(styles.step, styles.tried, tried.chosen && styles.taken, selected && styles.selected)}>
      <strong>
        <Icon name={tried.chosen ? "check" : "box"} size={16} />
        <span title={candidateName(t, tried.student, tried.row?.method)}>{candidateName(t, tried.student, tried.row?.method)}</span>
      </strong>
      <span className={styles.fact}>{tried.row ? tried.figures : t("canvas.tried.planned")}</span>
      <Handle id="tried" type="target" position={Position.Top} isConnectable={false} className={styles.port} style={{ background: portColour("model") }} />
    </div>
  );
});

/** A model that was tried: its figures, why another was taken, and how to take it. */
export function TriedPanel({ project, tried, draft, build, onClose }: { project: string; tried: Tried; draft: RecipeDraft; build: ReactNode; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const { row, view } = tried;
  const given = { student: draft.tree["student"] as { kind?: unknown } | undefined, compress: draft.tree["compress"] as { method?: unknown } | undefined };
  const wanted = row && settingsOf(row);
  const taken = wanted !== undefined && given.student?.kind === wanted.kind && given.compress?.method === wanted.method;
  return (
    <section className={styles.panel} aria-label={candidateName(t, tried.student, row?.method)}>
      <header className={styles.panelHead}>
        <Icon name="box" />
        <h2>{candidateName(t, tried.student, row?.method)}</h2>
        <IconButton icon="close" small label={t("common.close")} onClick={onClose} />
      </header>
      <p className={styles.about}>{t(!row ? "canvas.tried.plannedAbout" : row.baseline ? "canvas.tried.baseline" : row.chosen ? "canvas.tried.chosen" : "canvas.tried.about")}</p>
      {row && view && <Figures row={row} view={view} />}
      {row?.why_not && <p className={styles.about}>{`${t("report.whyNot")} ${told(row.why_not)}.`}</p>}
      <footer className={styles.panelFoot}>
        {taken && (
          <>
            <Badge tone="good" icon="check">
              {t("canvas.tried.drawn")}
            </Badge>
            {build}
          </>
        )}
        {row && !row.baseline && !taken && (
          <Button small kind="primary" icon="check" onClick={() => draft.edit({ by: "graph", drawing: withTaken(draft.drawing, row) })}>
            {t("canvas.tried.take")}
          </Button>
        )}
        {view && <Link to={`/projects/${project}/report`}>{t("nav.report")}</Link>}
      </footer>
    </section>
  );
}

function Figures({ row, view }: { row: Alternative; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const metricName = useMetricName(view);
  const { report } = view;
  const figures: readonly (readonly [string, string])[] = [
    [metricName(report.headline), row.accuracy ? t("canvas.tried.between", { value: formatMetric(report, report.headline, row.accuracy.value), low: formatMetric(report, report.headline, row.accuracy.low), high: formatMetric(report, report.headline, row.accuracy.high) }) : ""],
    [t("report.oneAnswer"), typeof row.latency_ms_p50 === "number" ? formatMilliseconds(row.latency_ms_p50) : ""],
    [t("report.size"), typeof row.size_mb === "number" ? formatMegabytes(row.size_mb) : ""],
    [t("report.trainedIn"), typeof row.seconds === "number" ? formatSeconds(row.seconds) : ""],
  ];
  return (
    <dl className={styles.figures}>
      {figures.filter(([, value]) => value !== "").map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
