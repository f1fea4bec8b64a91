import { type ReactNode, useCallback, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useAnswerForm, useEdit, useLabels, useMay, useStep } from "../../api/queries";
import { type HeatCell, HeatMap } from "../../charts/HeatMap";
import { formatNumber, formatShare } from "../../i18n";
import { AnswerEditor } from "../../ui/answer/AnswerEditor";
import { agreeing, isFields, spansOf } from "../../ui/answer/answers";
import { AnswerLine, AnswersBeside } from "../../ui/answer/AnswerView";
import { MarkedText } from "../../ui/answer/MarkedText";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { Dialog, useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { type Answer, type AnswerFilter, type ReportView, useAnswers, useConfusion } from "./queries";
import styles from "./Report.module.css";
import { valuesTold } from "./wording";

const FEW = 10;
/** A map of more labels begins with those that are mistaken: the others are a long diagonal. */
const WHOLE_MAP = 20;

/** What is mistaken for what: a map and a list, both open the rows behind a cell. */
export function Mistakes({ project, view }: { project: string; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const confusion = useConfusion(project, view.id, view.has_answers);
  const [address, setAddress] = useSearchParams();
  const [all, setAll] = useState(false);
  const [whole, setWhole] = useState(false);
  const labels = confusion.data?.labels;
  const cells = useMemo(() => confusion.data?.cells ?? [], [confusion.data]);
  const wrong = useMemo(() => cells.filter((cell) => cell.down !== cell.across).sort((one, other) => other.count - one.count), [cells]);
  const totals = useMemo(() => cells.reduce((sums, cell) => sums.set(cell.down, (sums.get(cell.down) ?? 0) + cell.count), new Map<number, number>()), [cells]);
  const openCell = useCallback(
    (wanted: string, answer: string) =>
      setAddress((before) => {
        before.set("wanted", wanted);
        before.set("answer", answer);
        return before;
      }),
    [setAddress],
  );
  const open = useCallback((cell: { down: number; across: number }) => openCell(labels?.[cell.down] ?? "", labels?.[cell.across] ?? ""), [labels, openCell]);
  const map = useMemo(() => (labels && labels.length > WHOLE_MAP && !whole ? onlyMistaken(labels, cells) : { labels: labels ?? [], cells }), [labels, cells, whole]);
  const openOnMap = useCallback((cell: { down: number; across: number }) => openCell(map.labels[cell.down] ?? "", map.labels[cell.across] ?? ""), [map, openCell]);
  const describe = useCallback((down: string, across: string, count: number) => (down === across ? t("report.cellRight", { label: down, rows: formatNumber(count), count }) : t("report.cellWrong", { wanted: down, answer: across, rows: formatNumber(count), count })), [t]);
  const wanted = address.get("wanted");
  const answer = address.get("answer");
  const where: AnswerFilter | null = wanted !== null && answer !== null ? { wanted, answer } : address.get("rows") === "wrong" ? { wrong: true } : null;
  const close = () =>
    setAddress((before) => {
      for (const name of ["wanted", "answer", "rows"]) before.delete(name);
      return before;
    });
  const rows = where && <AnswerRows project={project} view={view} where={where} onClose={close} />;
  const readAll = (
    <Button
      small
      onClick={() =>
        setAddress((before) => {
          before.set("rows", "wrong");
          return before;
        })
      }
    >
      {t("report.readMistakes")}
    </Button>
  );
  if (!view.has_answers) return <ReportedMistakes view={view} />;
  if (confusion.error) return <Problem query={confusion} />;
  if (confusion.data === undefined) return <Skeleton label={t("common.loading")} />;
  if (confusion.data === null || !labels) {
    return (
      <>
        <ReportedMistakes view={view} actions={readAll} />
        {rows}
      </>
    );
  }
  const shown = all ? wrong : wrong.slice(0, FEW);
  return (
    <Card title={t("report.mistakes")} note={t("report.mapNote")} actions={wrong.length > 0 && readAll}>
      {wrong.length === 0 ? (
        <Notice tone="good">{t("report.noMistakes")}</Notice>
      ) : (
        <div className={styles.stack}>
          <ol className={styles.pairs}>
            {shown.map((cell) => (
              <li key={`${cell.down}-${cell.across}`}>
                <button type="button" onClick={() => open(cell)}>
                  <span className={styles.pairWords}>
                    <b>{labels[cell.down]}</b> <span>{t("report.answeredAs")}</span> <b className={styles.said}>{labels[cell.across]}</b>
                  </span>
                  <span className={styles.pairBar}>
                    <i style={{ width: `${(100 * cell.count) / (wrong[0]?.count ?? 1)}%` }} />
                  </span>
                  <span className={styles.pairCount}>{t("report.pairCount", { rows: formatNumber(cell.count), of: formatNumber(totals.get(cell.down) ?? cell.count), count: cell.count })}</span>
                </button>
              </li>
            ))}
          </ol>
          {wrong.length > FEW && (
            <div>
              <Button small onClick={() => setAll(!all)}>
                {all ? t("report.fewer") : t("report.allPairs", { pairs: formatNumber(wrong.length) })}
              </Button>
            </div>
          )}
          <h3>{t(whole || map.labels.length === labels.length ? "report.map" : "report.mapMistaken")}</h3>
          <HeatMap labels={map.labels} cells={map.cells} onOpen={openOnMap} describe={describe} downTitle={t("report.wantedLabel")} acrossTitle={t("report.answeredLabel")} summary={t("report.mapSummary", { labels: formatNumber(map.labels.length), pairs: formatNumber(wrong.length) })} />
          {(whole || map.labels.length < labels.length) && (
            <div>
              <Button small onClick={() => setWhole(!whole)}>
                {whole ? t("report.fewer") : t("report.wholeMap", { labels: formatNumber(labels.length) })}
              </Button>
            </div>
          )}
          {confusion.data.left_out > 0 && <p className={styles.soft}>{t("report.leftOut", { labels: formatNumber(confusion.data.left_out), errors: formatNumber(confusion.data.left_out_errors) })}</p>}
        </div>
      )}
      {rows}
    </Card>
  );
}

/** The map of the labels that are mistaken for others, or others for them. */
export function onlyMistaken(labels: readonly string[], cells: readonly HeatCell[]): { labels: readonly string[]; cells: readonly HeatCell[] } {
  const mistaken = new Set(cells.filter((cell) => cell.down !== cell.across).flatMap((cell) => [cell.down, cell.across]));
  const kept = labels.map((_, place) => place).filter((place) => mistaken.has(place));
  const places = new Map(kept.map((place, now) => [place, now]));
  const moved = cells.flatMap((cell) => {
    const [down, across] = [places.get(cell.down), places.get(cell.across)];
    return down === undefined || across === undefined ? [] : [{ ...cell, down, across }];
  });
  return { labels: kept.map((place) => labels[place] ?? ""), cells: moved };
}

const ROWS_SHOWN = 100;

/** The test rows behind a cell, each with what the model said; a wrong label in the data is put right here. */
function AnswerRows({ project, view, where, onClose }: { project: string; view: ReportView; where: AnswerFilter; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const found = useAnswers(project, view.id, where, ROWS_SHOWN);
  const title = where.wanted === undefined ? t("report.mistakes") : where.wanted === where.answer ? t("report.rightRows", { label: where.wanted }) : t("report.cellTitle", { wanted: where.wanted, answer: where.answer });
  return (
    <Dialog open wide onClose={onClose} title={title} about={t("report.cellAbout")}>
      <Problem query={found} />
      {!found.data && !found.error && <Skeleton label={t("common.loading")} />}
      {found.data && (
        <>
          <ol className={styles.answers}>
            {found.data.answers.map((answer, place) => (
              <AnswerItem key={answer.key || -place} project={project} answer={answer} />
            ))}
          </ol>
          {found.data.total > found.data.answers.length && <p className={styles.soft}>{t("report.moreRows", { shown: formatNumber(found.data.answers.length), total: formatNumber(found.data.total) })}</p>}
          {found.data.total === 0 && <Notice tone="good">{t("report.noMistakes")}</Notice>}
        </>
      )}
    </Dialog>
  );
}

function AnswerItem({ project, answer }: { project: string; answer: Answer }): ReactNode {
  const { t } = useTranslation();
  const single = typeof answer.wanted === "string" || answer.wanted === null;
  const parts = typeof answer.wanted === "object" && answer.wanted !== null;
  const changed = answer.now !== null && !agreeing(answer.now.output, answer.wanted);
  const names = [...new Set([...spansOf(answer.wanted), ...spansOf(answer.answer)].map((span) => span.label))];
  const corrected = changed && (
    <Badge tone="accent" icon="check">
      {t("report.corrected")}
    </Badge>
  );
  return (
    <li className={styles.answer}>
      {names.length > 0 ? <MarkedText text={answer.input} marks={spansOf(answer.answer)} names={names} box /> : <p className={styles.quote}>{answer.input}</p>}
      {answer.second && <p className={styles.quote}>{answer.second}</p>}
      <p className={styles.soft}>
        {t(parts ? "report.wasSure" : "report.saidSure", { share: formatShare(answer.score) })} {!parts && <Said value={answer.answer} tone="bad" />} {parts && corrected}
      </p>
      {parts && (isFields(answer.wanted) || names.length > 0) && <AnswersBeside said={answer.answer} wanted={answer.wanted} text={answer.input} />}
      {parts && !isFields(answer.wanted) && names.length === 0 && (
        <p className={styles.soft}>
          <AnswerLine value={answer.answer} text={answer.input} empty="labels" /> · {t("report.dataSays")} <AnswerLine value={answer.wanted} text={answer.input} empty="labels" />
        </p>
      )}
      {!parts && answer.grade < 1 && (
        <p className={styles.soft}>
          {t("report.dataSays")} <Said value={answer.wanted} tone="good" />
          {corrected}
        </p>
      )}
      {answer.now === null ? <p className={styles.soft}>{t("report.rowGone")}</p> : single ? <Relabel project={project} answer={answer} /> : <Rewrite project={project} answer={answer} row={answer.now} />}
    </li>
  );
}

function Said({ value, tone }: { value: unknown; tone: "good" | "bad" }): ReactNode {
  if (typeof value === "string" && value.length < 80) return <b className={tone === "bad" ? styles.said : styles.wanted}>{value}</b>;
  return typeof value === "string" ? <span className={styles.json}>{value}</span> : <AnswerLine value={value} text="" />;
}

/** Put a row of fields, marks or several labels right: take over the model's answer, or change what is wrong. */
function Rewrite({ project, answer, row }: { project: string; answer: Answer; row: NonNullable<Answer["now"]> }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const form = useAnswerForm(project);
  const edit = useEdit(project);
  const step = useStep(project);
  const toast = useToast();
  const [open, setOpen] = useState(false);
  const change = (output: unknown) =>
    void edit.mutateAsync({ kind: "relabel", keys: [row.key], output }).then(
      () => {
        setOpen(false);
        toast({ text: t("data.relabelled"), action: { label: t("common.undo"), run: () => step.mutate("undo") } });
      },
      () => undefined,
    );
  if (!form.data) return null;
  if (open) {
    return (
      <div className={styles.rewrite}>
        <AnswerEditor form={form.data} text={row.input} second={row.second} start={row.output} busy={edit.isPending} saveLabel={t("data.saveAnswer")} save={change} more={<Button onClick={() => setOpen(false)}>{t("common.cancel")}</Button>} />
        <Problem query={{ error: edit.error }} />
      </div>
    );
  }
  return (
    <div className={styles.badges}>
      {answer.answer !== null && !agreeing(answer.answer, row.output) && (
        <Button small icon="check" disabled={!may} title={may ? undefined : t("report.mayNotEdit")} busy={edit.isPending} onClick={() => change(answer.answer)}>
          {t("report.modelIsRight")}
        </Button>
      )}
      <Button small icon="label" disabled={!may} title={may ? undefined : t("report.mayNotEdit")} onClick={() => setOpen(true)}>
        {t("data.changeAnswer")}
      </Button>
      <Problem query={{ error: edit.error }} />
    </div>
  );
}

function Relabel({ project, answer }: { project: string; answer: Answer }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const labels = useLabels(project);
  const edit = useEdit(project);
  const step = useStep(project);
  const toast = useToast();
  const current = typeof answer.now?.output === "string" ? answer.now.output : "";
  const names = labels.data?.map((found) => found.output).filter((output) => typeof output === "string") ?? [];
  if (!answer.now || names.length === 0 || names.length > 2_000) return null;
  const change = (output: string) =>
    void edit.mutateAsync({ kind: "relabel", keys: [answer.key], output }).then(
      () => toast({ text: t("report.relabelled", { label: output }), action: { label: t("common.undo"), run: () => step.mutate("undo") } }),
      () => undefined,
    );
  return (
    <div className={styles.relabel}>
      {typeof answer.answer === "string" && answer.answer !== current && names.includes(answer.answer) && (
        <Button small icon="check" disabled={!may} title={may ? undefined : t("report.mayNotEdit")} busy={edit.isPending} onClick={() => change(answer.answer as string)}>
          {t("report.modelIsRight")}
        </Button>
      )}
      <Select label={t("report.labelIs")} disabled={!may} value={current} options={(names.includes(current) ? names : [current, ...names]).map((name) => ({ value: name, label: name }))} onChange={(event) => change(event.target.value)} />
      <Problem query={{ error: edit.error }} />
    </div>
  );
}

/** The mistakes that the report itself keeps, for models whose single answers were not stored. */
function ReportedMistakes({ view, actions }: { view: ReportView; actions?: ReactNode }): ReactNode {
  const { t } = useTranslation();
  const [all, setAll] = useState(false);
  const { mistakes } = view.report;
  if (mistakes.length === 0) return null;
  const shown = all ? mistakes : mistakes.slice(0, 6);
  return (
    <Card title={t("report.mistakes")} note={t("report.mistakesNote")} actions={actions}>
      <ol className={styles.answers}>
        {shown.map((mistake, place) => (
          <li key={place} className={styles.answer}>
            <p className={styles.quote}>{mistake.text}</p>
            <p className={styles.soft}>
              {t("report.saidSure", { share: formatShare(mistake.score) })} <b className={styles.said}>{valuesTold(t, mistake.answer)}</b>
            </p>
            <p className={styles.soft}>
              {t("report.dataSays")} <b className={styles.wanted}>{valuesTold(t, mistake.gold)}</b>
            </p>
          </li>
        ))}
      </ol>
      {mistakes.length > 6 && (
        <Button small onClick={() => setAll(!all)}>
          {all ? t("report.fewer") : t("report.allMistakes", { rows: formatNumber(mistakes.length) })}
        </Button>
      )}
    </Card>
  );
}
