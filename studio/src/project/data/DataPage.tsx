import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { type ReactNode, useCallback, useDeferredValue, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";

import { type Row, ROWS_PER_PAGE, type RowQuery, rowsQuery, useData, useEdit, useLabels, useMay, useProject, useStep } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Button, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { Badge, Skeleton } from "../../ui/Feedback";
import { Search, Select } from "../../ui/Field";
import { useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { type Column, Table } from "../../ui/Table";
import styles from "./Data.module.css";
import { Findings } from "./Findings";
import { FirstAnswerCard } from "./FirstAnswer";
import { ImportFile, shown } from "./ImportFile";
import { useFindings } from "./queries";
import { TakeTraffic } from "./TakeTraffic";
import { Versions } from "./Versions";

/** The data of a project: bring it in, look through it, edit it. */
export function DataPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const data = useData(project);
  const opened = useProject(project);
  const step = useStep(project);
  const mayEdit = useMay("edit");
  const [history, setHistory] = useState(false);
  if (data.error) return <Problem query={data} />;
  if (!data.data) return <Skeleton label={t("common.loading")} />;
  if (data.data.version === 0) {
    return (
      <>
        <PageTitle title={t("nav.data")} about={t(opened.data?.settings["brought"] ? "data.broughtAbout" : "data.emptyAbout")} />
        <ImportFile project={project} ways={<TakeTraffic project={project} />} />
      </>
    );
  }
  const { undo, redo, rows, unlabelled, test_rows } = data.data;
  return (
    <>
      <PageTitle
        title={t("nav.data")}
        about={t("data.summary", { rows: formatNumber(rows), unlabelled: formatNumber(unlabelled), test: formatNumber(test_rows) })}
        actions={
          <>
            <IconButton icon="undo" label={undo ? t("data.undo", { action: t(`action.${undo.action}`) }) : t("common.undo")} disabled={!mayEdit || !undo || step.isPending} onClick={() => step.mutate("undo")} />
            <IconButton icon="redo" label={t("data.redo")} disabled={!mayEdit || !redo || step.isPending} onClick={() => step.mutate("redo")} />
            <Button small icon="clock" onClick={() => setHistory(true)}>
              {t("data.history")}
            </Button>
            <TakeTraffic project={project} compact />
            <ImportFile project={project} compact />
          </>
        }
      />
      <Problem query={{ error: step.error }} />
      <FirstAnswerCard project={project} />
      <Views project={project} mayEdit={mayEdit} />
      {history && <Versions project={project} onClose={() => setHistory(false)} />}
    </>
  );
}

/** The rows, or what the check found in them. */
function Views({ project, mayEdit }: { project: string; mayEdit: boolean }): ReactNode {
  const { t } = useTranslation();
  const [address, setAddress] = useSearchParams();
  const findings = useFindings(project);
  const view = address.get("view") === "findings" ? "findings" : "rows";
  const open = findings.data?.filter((finding) => finding.open > 0).length ?? 0;
  const options = [
    { value: "rows", label: t("data.rowsView") },
    { value: "findings", label: `${t("data.findingsView")}${open ? ` (${formatNumber(open)})` : ""}` },
  ] as const;
  return (
    <>
      <div className={styles.views}>
        <Choice label={t("data.view")} value={view} options={options} onChange={(value) => setAddress(value === "rows" ? {} : { view: value })} />
      </div>
      {view === "findings" ? <Findings project={project} /> : <Rows project={project} mayEdit={mayEdit} />}
    </>
  );
}

function useWhere(): [RowQuery, (change: Partial<Record<"q" | "label" | "part", string>>) => void] {
  const [address, setAddress] = useSearchParams();
  const label = address.get("label");
  const part = address.get("part");
  const where = {
    search: address.get("q") ?? "",
    output: label !== null && label !== "" && label !== "none" ? label : null,
    unlabelled: label === "none",
    part: part === "train" || part === "test" ? part : null,
  } as const;
  function change(values: Partial<Record<"q" | "label" | "part", string>>): void {
    setAddress(
      (old) => {
        for (const [name, value] of Object.entries(values)) {
          if (value) old.set(name, value);
          else old.delete(name);
        }
        return old;
      },
      { replace: true },
    );
  }
  return [where, change];
}

function Rows({ project, mayEdit }: { project: string; mayEdit: boolean }): ReactNode {
  const { t } = useTranslation();
  const [where, change] = useWhere();
  const deferred = useDeferredValue(where.search);
  const asked = useMemo(() => ({ ...where, search: deferred }), [where.output, where.unlabelled, where.part, deferred]); // eslint-disable-line react-hooks/exhaustive-deps
  const [pages, setPages] = useState<readonly number[]>([0]);
  const [selected, setSelected] = useState<number | undefined>(undefined);
  const first = useQuery({ ...rowsQuery(project, asked, 0), placeholderData: keepPreviousData });
  const loaded = useQueries({ queries: pages.map((page) => rowsQuery(project, asked, page)) });
  const byPage = new Map(pages.map((page, place) => [page, loaded[place]?.data?.rows]));
  const count = first.data?.total ?? 0;
  const row = (index: number): Row | undefined => (byPage.get(Math.floor(index / ROWS_PER_PAGE)) ?? (index < ROWS_PER_PAGE ? first.data?.rows : undefined))?.[index % ROWS_PER_PAGE];
  const visible = useCallback((start: number, end: number) => {
    const from = Math.floor(start / ROWS_PER_PAGE);
    const wanted = Array.from({ length: Math.floor(end / ROWS_PER_PAGE) - from + 1 }, (_, step) => from + step);
    setPages((old) => (old.length === wanted.length && old.every((page, place) => page === wanted[place]) ? old : wanted));
  }, []);
  const columns: readonly Column<Row>[] = [
    { key: "number", title: "#", width: "5rem", number: true, cell: (_, index) => formatNumber(index + 1) },
    { key: "input", title: t("data.text"), width: "minmax(14rem, 3fr)", cell: (item) => item.input },
    { key: "output", title: t("data.answer"), width: "minmax(9rem, 1fr)", cell: (item) => (item.output === null ? <Badge tone="warn">{t("data.unlabelled")}</Badge> : shown(item.output)) },
    { key: "part", title: t("data.part"), width: "6rem", cell: (item) => t(`data.${item.part}`) },
  ];
  const current = selected === undefined ? undefined : row(selected);
  return (
    <div className={styles.page}>
      <Card flush>
        <div className={styles.tools}>
          <Search label={t("data.search")} value={where.search} onChange={(event) => change({ q: event.target.value })} />
        </div>
        <Problem query={first} />
        <div className={styles.table}>
          <Table label={t("nav.data")} columns={columns} count={count} row={row} onVisible={visible} selected={selected} onSelect={setSelected} />
        </div>
        <p className={styles.count} role="status">
          {t("data.shown", { rows: formatNumber(count) })}
        </p>
      </Card>
      <div className={styles.side}>
        {current && <Detail key={current.key} project={project} row={current} mayEdit={mayEdit} />}
        <Labels project={project} chosen={where.unlabelled ? "none" : (where.output ?? "")} onChoose={(label) => change({ label })} />
      </div>
    </div>
  );
}

function Detail({ project, row, mayEdit }: { project: string; row: Row; mayEdit: boolean }): ReactNode {
  const { t } = useTranslation();
  const labels = useLabels(project);
  const edit = useEdit(project);
  const toast = useToast();
  const step = useStep(project);
  const undoable = (text: string) => toast({ text, action: { label: t("common.undo"), run: () => step.mutate("undo") } });
  const names = labels.data?.filter((found) => typeof found.output === "string").map((found) => found.output as string) ?? [];
  return (
    <Card title={t("data.row")}>
      <div className={styles.detail}>
        <p className={styles.text}>{row.input}</p>
        {row.second && <p className={styles.text}>{row.second}</p>}
        {mayEdit && names.length > 0 && (row.output === null || typeof row.output === "string") && (
          <Select
            label={t("data.answer")}
            value={row.output ?? ""}
            options={[{ value: "", label: t("data.unlabelled") }, ...names.map((name) => ({ value: name, label: name }))]}
            onChange={(event) => edit.mutate({ kind: "relabel", keys: [row.key], output: event.target.value || null }, { onSuccess: () => undoable(t("data.relabelled")) })}
          />
        )}
        {row.output !== null && typeof row.output !== "string" && <pre className={styles.text}>{JSON.stringify(row.output, null, 2)}</pre>}
        {mayEdit && (
          <Button small kind="danger" icon="trash" busy={edit.isPending} onClick={() => edit.mutate({ kind: "drop", keys: [row.key] }, { onSuccess: () => undoable(t("data.dropped")) })}>
            {t("data.drop")}
          </Button>
        )}
        <Problem query={{ error: edit.error }} />
      </div>
    </Card>
  );
}

function Labels({ project, chosen, onChoose }: { project: string; chosen: string; onChoose: (label: string) => void }): ReactNode {
  const { t } = useTranslation();
  const labels = useLabels(project);
  const few = labels.data?.slice(0, 300);
  return (
    <Card title={t("data.labels")} note={labels.data && t("data.labelsNote", { count: labels.data.length })}>
      <Problem query={labels} />
      <ul className={styles.labels}>
        {few?.map((found) => {
          const value = found.output === null ? "none" : JSON.stringify(found.output);
          return (
            <li key={value}>
              <button type="button" aria-pressed={value === chosen} onClick={() => onChoose(value === chosen ? "" : value)}>
                <span>{found.output === null ? t("data.unlabelled") : shown(found.output)}</span>
                <span>{formatNumber(found.rows)}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
