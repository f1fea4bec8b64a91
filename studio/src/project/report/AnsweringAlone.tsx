import { type ReactNode, useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { type OperatingPoint, useOperatingPoint } from "../../api/operatingPoint";
import { useMay, useProject } from "../../api/queries";
import { RiskCurve } from "../../charts/RiskCurve";
import { formatMoney, formatNumber, formatShare } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice } from "../../ui/Feedback";
import { Range, TextField } from "../../ui/Field";
import { useToast } from "../../ui/Overlay";
import { PointWords } from "../../ui/PointWords";
import { Problem } from "../../ui/Problem";
import { amount, cheapestPlace, costPerThousand, passingOnIsCheaper, placeOf } from "./operating";
import { type ReportView, useChoosePoint } from "./queries";
import styles from "./Report.module.css";
import { hasOneScore } from "./wording";

/** The costs that the chosen point was chosen by. */
interface StoredCosts {
  wrong_cost?: number | null;
  escalation_cost?: number | null;
}

const WRITE_AFTER_MS = 400;

/** Where the model answers by itself and where it passes on: a point on the risk-coverage curve, and what it costs. */
export function AnsweringAlone({ project, view }: { project: string; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const settings = useProject(project).data?.settings;
  const point = useOperatingPoint(project, view.id).data;
  if (!view.report.risk_coverage?.points.length || hasOneScore(view)) return null;
  if (!settings || point === undefined) return null;
  const stored = (settings["operating_point"] ?? {}) as StoredCosts;
  return (
    <Card title={t(view.report.graded ? "report.aloneGraded" : "report.alone")} note={t(view.report.graded ? "report.aloneGradedNote" : "report.aloneNote")}>
      <PointChooser key={view.id} project={project} view={view} stored={stored} used={point} />
    </Card>
  );
}

function PointChooser({ project, view, stored, used }: { project: string; view: ReportView; stored: StoredCosts; used: OperatingPoint | null }): ReactNode {
  const { t } = useTranslation();
  const { report } = view;
  const [address, setAddress] = useSearchParams();
  const points = useMemo(() => report.risk_coverage?.points ?? [], [report]);
  const graded = report.graded;
  const [wrongText, setWrongText] = useState(address.get("wrong") ?? String(stored.wrong_cost ?? 1));
  const [passedText, setPassedText] = useState(address.get("passed") ?? String(stored.escalation_cost ?? 0.1));
  const wrong = amount(wrongText);
  const escalated = amount(passedText);
  const costs = useMemo(() => (wrong === null || escalated === null || graded ? null : { wrong, escalated }), [wrong, escalated, graded]);
  const cheapest = useMemo(() => (costs ? cheapestPlace(points, costs) : null), [points, costs]);
  const [chosen, setChosen] = useState(() => {
    const wanted = address.get("score") ?? used?.threshold ?? undefined;
    if (wanted !== undefined) return placeOf(points, Number(wanted));
    return cheapest ?? points.length - 1;
  });
  const [moved, setMoved] = useState(false);
  const point = points[chosen] ?? points.at(-1);

  useEffect(() => {
    if (!moved || !point) return;
    const timer = window.setTimeout(
      () =>
        setAddress(
          (before) => {
            before.set("score", String(point.threshold));
            before.set("wrong", wrongText);
            before.set("passed", passedText);
            return before;
          },
          { replace: true },
        ),
      WRITE_AFTER_MS,
    );
    return () => window.clearTimeout(timer);
  }, [moved, point, wrongText, passedText, setAddress]);

  if (!point) return null;
  function move(place: number): void {
    setChosen(place);
    setMoved(true);
  }
  const shares = { answered: formatShare(point.coverage), passed: formatShare(1 - point.coverage), wrong: formatShare(point.risk, 1), low: formatShare(point.risk_low, 1), high: formatShare(point.risk_high, 1), score: formatNumber(point.threshold, { maximumSignificantDigits: 3 }) };
  const grade = { grade: formatNumber(1 - point.risk, { maximumFractionDigits: 2 }), low: formatNumber(1 - point.risk_high, { maximumFractionDigits: 2 }), high: formatNumber(1 - point.risk_low, { maximumFractionDigits: 2 }), answered: shares.answered, passed: shares.passed, score: shares.score };
  const words = graded ? t("report.pointGraded", grade) : t("report.point", shares);
  const now = used && <PointWords point={used} graded={graded} />;
  const same = used !== null && used.chosen_by !== "certificate" && used.threshold === point.threshold;
  return (
    <div className={styles.alone}>
      <div>
        <RiskCurve points={points} chosen={chosen} cheapest={cheapest} costs={costs ? points.map((one) => costPerThousand(one, costs)) : null} yLabel={t(graded ? "report.lossAxis" : "report.wrongAxis")} summary={words} onChoose={move} />
        <Range label={t(graded ? "report.letThrough" : "report.answerShare")} shown={shares.answered} min={0} max={points.length - 1} step={1} value={chosen} onChange={(event) => move(Number(event.target.value))} />
      </div>
      <div className={styles.pointSide}>
        <p className={styles.pointWords} aria-live="polite">
          {same ? now : words}
        </p>
        {!same && now && (
          <Notice>
            {t("report.pointNow")} {now}
          </Notice>
        )}
        <p className={styles.soft}>{t(graded ? "report.pointGradedScore" : "report.pointScore", shares)}</p>
        {!graded && (
          <>
            <div className={styles.money}>
              <TextField label={t("report.wrongCost")} inputMode="decimal" value={wrongText} error={wrong === null ? t("report.noAmount") : undefined} onChange={(event) => { setWrongText(event.target.value); setMoved(true); }} />
              <TextField label={t("report.passedCost")} inputMode="decimal" value={passedText} error={escalated === null ? t("report.noAmount") : undefined} onChange={(event) => { setPassedText(event.target.value); setMoved(true); }} />
            </div>
            <p className={styles.soft}>{t("report.passedHelp")}</p>
            {costs && cheapest !== null && (
              <CostWords at={costPerThousand(point, costs)} best={points[cheapest] ? costPerThousand(points[cheapest], costs) : 0} isCheapest={chosen === cheapest} passing={passingOnIsCheaper(points, costs) ? 1000 * costs.escalated : null} onGo={() => move(cheapest)} />
            )}
          </>
        )}
        <UsePoint project={project} view={view} threshold={point.threshold} used={used?.threshold === point.threshold} certified={used?.chosen_by === "certificate"} costs={costs} />
      </div>
    </div>
  );
}

function CostWords({ at, best, isCheapest, passing, onGo }: { at: number; best: number; isCheapest: boolean; passing: number | null; onGo: () => void }): ReactNode {
  const { t } = useTranslation();
  return (
    <div className={styles.cost}>
      <p>
        <strong className={styles.costFigure}>{formatMoney(at)}</strong> {t("report.perThousand")} {isCheapest && <Badge tone="good">{t("report.cheapest")}</Badge>}
      </p>
      {!isCheapest && (
        <Button small onClick={onGo}>
          {t("report.goCheapest", { cost: formatMoney(best) })}
        </Button>
      )}
      {passing !== null && <Notice tone="warn">{t("report.passingCheaper", { cost: formatMoney(passing) })}</Notice>}
    </div>
  );
}

export function UsePoint({ project, view, threshold, used, certified, costs }: { project: string; view: ReportView; threshold: number; used: boolean; certified: boolean; costs: { wrong: number; escalated: number } | null }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const choose = useChoosePoint(project, view.id);
  const toast = useToast();
  return (
    <>
      <Problem query={{ error: choose.error }} />
      {certified ? (
        <p className={styles.soft}>{t("report.pointCertified")}</p>
      ) : used ? (
        <p>
          <Badge tone="good" icon="check">
            {t("report.pointUsed")}
          </Badge>
        </p>
      ) : (
        <div>
          <Button kind="primary" disabled={!may} title={may ? undefined : t("report.mayNot")} busy={choose.isPending} onClick={() => choose.mutate({ threshold, wrong_cost: costs?.wrong ?? null, escalation_cost: costs?.escalated ?? null }, { onSuccess: () => toast({ text: t("report.pointStored") }) })}>
            {t("report.usePoint")}
          </Button>
        </div>
      )}
    </>
  );
}
