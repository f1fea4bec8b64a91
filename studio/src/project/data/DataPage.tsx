import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { type ReactNode, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";

import type { ErrorParts } from "../../api/client";
import { type Edit, type Row, ROWS_PER_PAGE, type RowQuery, rowsQuery, useAnswerForm, useData, useEdit, useLabels, useMay, useProject, useStep } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { AnswerEditor } from "../../ui/answer/AnswerEditor";
import { type AnswerForm, entriesOf, type Fields, placesOf, valueAt, valueText } from "../../ui/answer/answers";
import { AnswerLine, AnswerView, useWords } from "../../ui/answer/AnswerView";
import { MarkedText } from "../../ui/answer/MarkedText";
import { Button, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { inWords } from "../../ui/failure";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { Search, Select } from "../../ui/Field";
import { Dialog, useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { type Column, Table } from "../../ui/Table";
import styles from "./Data.module.css";
import { Findings } from "./Findings";
import { FirstAnswerCard } from "./FirstAnswer";
import { type AddedFile, ImportFile, shown } from "./ImportFile";
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
  const [added, setAdded] = useState<AddedFile | null>(null);
  if (data.error) return <Problem query={data} />;
  if (!data.data) return <Skeleton label={t("common.loading")} />;
  if (data.data.version === 0) {
    return (
      <>
        <PageTitle title={t("nav.data")} about={t(opened.data?.settings["brought"] ? "data.broughtAbout" : "data.emptyAbout")} />
        <ImportFile project={project} onAdded={setAdded} ways={<TakeTraffic project={project} />} />
      </>
    );
  }
  const { undo, redo, rows, unlabelled, test_rows } = data.data;
  return (
    <>
      <PageTitle
        title={t("nav.data")}
        about={t("data.summary", { count: test_rows, rows: formatNumber(rows), unlabelled: formatNumber(unlabelled), test: formatNumber(test_rows) })}
        actions={
          <div className={styles.actions}>
            <IconButton icon="undo" label={undo ? t("data.undo", { action: t(`action.${undo.action}`) }) : t("common.undo")} disabled={!mayEdit || !undo || step.isPending} onClick={() => step.mutate("undo")} />
            <IconButton icon="redo" label={t("data.redo")} disabled={!mayEdit || !redo || step.isPending} onClick={() => step.mutate("redo")} />
            <Button small icon="clock" onClick={() => setHistory(true)}>
              {t("data.history")}
            </Button>
            <TakeTraffic project={project} compact />
            <ImportFile project={project} onAdded={setAdded} compact />
          </div>
        }
      />
      <Problem query={{ error: step.error }} />
      {added && <Added key={`${added.file} ${rows}`} added={added} onClose={() => setAdded(null)} />}
      {undo?.action === "import" && <LeftOut details={undo.details} />}
      <FirstAnswerCard project={project} />
      <Views project={project} mayEdit={mayEdit} />
      {history && <Versions project={project} onClose={() => setHistory(false)} />}
    </>
  );
}

/** What was added just now. It takes the focus, which the dialog had. */
function Added({ added: { file, rows, skipped }, onClose }: { added: AddedFile; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.focus(), []);
  return (
    <div ref={place} tabIndex={-1} role="status" className={styles.leftOut}>
      <Notice tone="good" action={<IconButton icon="close" small label={t("common.close")} onClick={onClose} />}>
        {t("data.added", { file, rows: formatNumber(rows), skipped: formatNumber(skipped), count: skipped })}
      </Notice>
    </div>
  );
}

/** The rows of the newest file that could not be used, and why. */
function LeftOut({ details }: { details: Record<string, unknown> }): ReactNode {
  const { t } = useTranslation();
  const { skipped = 0, file = "", faults = [] } = details as { skipped?: number; file?: string; faults?: readonly ErrorParts[] };
  if (skipped === 0) return null;
  return (
    <div className={styles.leftOut}>
      <Notice tone="warn">
        <p>{t("data.leftOut", { count: skipped, rows: formatNumber(skipped), file })}</p>
        {faults.map((fault) => {
          const { message, exact } = inWords(t, { ...fault, todo: "" });
          return (
            <p key={fault.row} className={styles.why}>
              {exact ?? message}
            </p>
          );
        })}
        <p className={styles.why}>{t("data.leftOutTodo")}</p>
      </Notice>
    </div>
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

type Change = Partial<Record<"q" | "label" | "part" | "holds" | "field", string>>;

function useWhere(): [RowQuery, (change: Change) => void] {
  const [address, setAddress] = useSearchParams();
  const label = address.get("label");
  const part = address.get("part");
  const holds = address.get("holds");
  const where = {
    search: address.get("q") ?? "",
    output: label !== null && label !== "" && label !== "none" ? label : null,
    unlabelled: label === "none",
    part: part === "train" || part === "test" ? part : null,
    holds,
    field: address.get("field"),
  } as const;
  function change(values: Change): void {
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
  const asked = useMemo(() => ({ ...where, search: deferred }), [where.output, where.unlabelled, where.part, where.holds, where.field, deferred]); // eslint-disable-line react-hooks/exhaustive-deps
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
  const form = useAnswerForm(project).data;
  const answers = useAnswerColumns(form);
  const columns: readonly Column<Row>[] = [
    { key: "number", title: "#", width: "3.25rem", number: true, cell: (_, index) => formatNumber(index + 1) },
    { key: "input", title: t("data.text"), width: "minmax(min(20rem, 50vw), 3fr)", cell: (item) => (item.second ? `${item.input} · ${item.second}` : item.input) },
    ...answers,
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
        {current && form && <Detail key={`${current.key} ${JSON.stringify(current.output)}`} project={project} row={current} form={form} mayEdit={mayEdit} />}
        {!current && form?.shape === "text" && <Card title={t("data.row")}>{t("data.chooseRow")}</Card>}
        {form?.shape === "label" && <Labels project={project} chosen={where.unlabelled ? "none" : (where.output ?? "")} onChoose={(label) => change({ label })} />}
        {form && form.shape !== "label" && form.shape !== "text" && <Parts project={project} form={form} where={where} onChoose={change} />}
      </div>
    </div>
  );
}

const MOST_FIELDS = 12;

/** A column for the answer, or for each of its fields. */
function useAnswerColumns(form: AnswerForm | undefined): Column<Row>[] {
  const { t } = useTranslation();
  const words = useWords();
  const none = <Badge tone="warn">{t("data.unlabelled")}</Badge>;
  if (form?.shape === "fields" && form.fields.length > 0) {
    return form.fields.slice(0, MOST_FIELDS).map((field, place) => ({
      key: `field ${field.path}`,
      title: field.path,
      width: field.kind === "truth" || field.kind === "integer" ? "minmax(5rem, 1fr)" : "minmax(7.5rem, 1fr)",
      cell: (item) => (item.output === null ? place === 0 && none : valueText(valueAt(item.output, field.path), words)),
    }));
  }
  return [{ key: "output", title: t("data.answer"), width: form?.shape === "label" ? "minmax(9rem, 1fr)" : "minmax(12rem, 2fr)", cell: (item) => (item.output === null ? none : <AnswerLine value={item.output} text={item.input} empty={form?.shape} />) }];
}

function Detail({ project, row, form, mayEdit }: { project: string; row: Row; form: AnswerForm; mayEdit: boolean }): ReactNode {
  const { t } = useTranslation();
  const edit = useEdit(project);
  const toast = useToast();
  const step = useStep(project);
  const [open, setOpen] = useState(false);
  const undoable = (text: string) => toast({ text, action: { label: t("common.undo"), run: () => step.mutate("undo") } });
  // Said even where the row, and this with it, is gone from the page by then.
  const change = (wanted: Edit, said: string) =>
    void edit.mutateAsync(wanted).then(
      () => {
        setOpen(false);
        undoable(said);
      },
      () => undefined,
    );
  const relabel = (output: unknown) => change({ kind: "relabel", keys: [row.key], output }, t("data.relabelled"));
  const single = form.shape === "label" && (row.output === null || typeof row.output === "string");
  const bare = form.shape === "label" || form.shape === "labels" || form.shape === "text";
  return (
    <Card title={t("data.row")}>
      <div className={styles.detail}>
        {(bare || row.output === null) && <p className={styles.text}>{row.input}</p>}
        {row.second && <p className={styles.text}>{row.second}</p>}
        {single && mayEdit ? (
          <OneLabel project={project} value={row.output as string | null} onChange={relabel} />
        ) : (
          <>
            {!bare && row.output !== null && form.shape === "fields" && <FieldsText row={row} form={form} />}
            <AnswerView value={row.output} text={row.input} empty={form.shape} names={form.shape === "fields" ? form.fields.map((field) => field.path) : form.names.map((known) => known.name)} bare={form.shape === "fields"} />
          </>
        )}
        {mayEdit && (
          <div className={styles.ways}>
            {!single && (
              <Button small icon="label" onClick={() => setOpen(true)}>
                {t(row.output === null ? "data.giveAnswer" : "data.changeAnswer")}
              </Button>
            )}
            <Button small kind="danger" icon="trash" busy={edit.isPending && !open} onClick={() => change({ kind: "drop", keys: [row.key] }, t("data.dropped"))}>
              {t("data.drop")}
            </Button>
          </div>
        )}
        <Problem query={{ error: edit.error }} />
      </div>
      {open && (
        <Dialog open wide onClose={() => setOpen(false)} title={t(row.output === null ? "data.giveAnswer" : "data.changeAnswer")}>
          <AnswerEditor form={form} text={row.input} second={row.second} start={row.output} busy={edit.isPending} saveLabel={t("data.saveAnswer")} save={relabel} />
          <Problem query={{ error: edit.error }} />
        </Dialog>
      )}
    </Card>
  );
}

/** The text of a row with its fields marked where it says them. */
function FieldsText({ row, form }: { row: Row; form: AnswerForm }): ReactNode {
  const entries = entriesOf((row.output ?? {}) as Fields);
  return <MarkedText text={row.input} marks={placesOf(row.input, entries)} names={form.fields.map((field) => field.path)} box />;
}

function OneLabel({ project, value, onChange }: { project: string; value: string | null; onChange: (label: string | null) => void }): ReactNode {
  const { t } = useTranslation();
  const labels = useLabels(project);
  const names = labels.data?.map((found) => found.output).filter((output) => typeof output === "string") ?? [];
  if (names.length === 0) return null;
  return <Select label={t("data.answer")} value={value ?? ""} options={[{ value: "", label: t("data.unlabelled") }, ...names.map((name) => ({ value: name, label: name }))]} onChange={(event) => onChange(event.target.value || null)} />;
}

/** The labels, kinds or fields that answers are made of, and how many have each. Choosing one shows its rows. */
function Parts({ project, form, where, onChoose }: { project: string; form: AnswerForm; where: RowQuery; onChoose: (change: Change) => void }): ReactNode {
  const { t } = useTranslation();
  const words = useWords();
  const unlabelled = useData(project).data?.unlabelled ?? 0;
  const fields = form.shape === "fields";
  const [opened, setOpened] = useState(where.field ?? "");
  const entry = (key: string, name: string, rows: number, pressed: boolean, choose: () => void) => (
    <li key={key}>
      <button type="button" aria-pressed={pressed} onClick={choose}>
        <span>{name}</span>
        <span>{formatNumber(rows)}</span>
      </button>
    </li>
  );
  if (unlabelled === 0 && form.names.length === 0 && form.fields.length === 0) return null;
  const clear: Change = { holds: "", field: "", label: "" };
  return (
    <Card title={t(fields ? "data.fields" : form.shape === "spans" ? "data.kinds" : "data.labels")} note={t(fields ? "data.fieldsNote" : "data.kindsNote")}>
      <ul className={styles.labels}>
        {unlabelled > 0 && entry("none", t("data.unlabelled"), unlabelled, where.unlabelled, () => onChoose({ ...clear, label: where.unlabelled ? "" : "none" }))}
        {form.names.map(({ name, rows }) => entry(name, name, rows, where.holds === JSON.stringify(name), () => onChoose({ ...clear, holds: where.holds === JSON.stringify(name) ? "" : JSON.stringify(name) })))}
        {form.fields.map((field) => (
          <li key={field.path}>
            <button type="button" aria-expanded={field.values.length > 0 ? opened === field.path : undefined} onClick={() => setOpened(opened === field.path ? "" : field.path)}>
              <span>{field.path}</span>
              <span>{formatNumber(field.rows)}</span>
            </button>
            {opened === field.path && (
              <ul className={styles.values}>
                {field.values.map(({ value, rows }) => {
                  const [name, json] = [field.path.split(".").at(-1) ?? "", JSON.stringify(value)];
                  const pressed = where.field === name && where.holds === json;
                  return entry(json, valueText(value, words), rows, pressed, () => onChoose(pressed ? clear : { ...clear, holds: json, field: name }));
                })}
                {field.values.length === 0 && <li className={styles.soft}>{t("data.eachOnce")}</li>}
              </ul>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Labels({ project, chosen, onChoose }: { project: string; chosen: string; onChoose: (label: string) => void }): ReactNode {
  const { t } = useTranslation();
  const labels = useLabels(project);
  const few = labels.data?.slice(0, 300);
  return (
    <Card title={t("data.labels")} note={labels.data && t("data.labelsNote", { count: labels.data.filter((found) => found.output !== null).length })}>
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
