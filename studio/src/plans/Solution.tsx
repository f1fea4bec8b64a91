import { useQuery } from "@tanstack/react-query";
import type { TFunction } from "i18next";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../api/queries";
import { formatNumber } from "../i18n";
import { told } from "../i18n/serverTexts";
import { Button } from "../ui/Button";
import { Card } from "../ui/Card";
import { cx } from "../ui/cx";
import layout from "../ui/Layout.module.css";
import styles from "./Plans.module.css";
import { fileAddress, type Solved } from "./queries";
import { NAMES, NUMBER, spreadsheet } from "./spreadsheet";
import { StatusBadge } from "./StatusBadge";
import { cellWords, columnWords } from "./tableWords";
import { translatedDrawing } from "./translatedDrawing";
import { translatedPage } from "./translatedPage";

/** Most letters of a cell that is never broken into lines. */
const SHORT = 24;
/** Columns that only programs read: the files have them. */
const HIDDEN: ReadonlySet<string> = new Set(["latitude", "longitude"]);

/** The solution of a plan: sentences, pictures, tables, and files to take along. `children` stand below the sentences. */
export function Solution({ plan, solved, forget, busy, children }: { plan: string; solved: Solved; forget: () => void; busy: boolean; children?: ReactNode }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const at = `${solved.changes.length} ${solved.seconds} ${solved.sentences.join("").length}`;
  return (
    <>
      <Card title={t("plan.solution")} actions={<StatusBadge status={solved.status} />}>
        <ul className={styles.sentences}>
          {solved.sentences.map((sentence, place) => (
            <li key={place}>{told(sentence)}</li>
          ))}
        </ul>
        <div className={styles.pictures}>
          {solved.pictures.map((name) => (
            <Picture key={name} address={fileAddress(plan, name, at)} name={name} />
          ))}
        </div>
        <p className={layout.soft}>{t("plan.took", { seconds: formatNumber(solved.seconds, { maximumFractionDigits: 1 }) })}</p>
      </Card>
      {children}
      {solved.changes.length > 0 && (
        <Card
          title={t("plan.changes")}
          actions={
            <Button small disabled={!may} busy={busy} onClick={forget}>
              {t("plan.forget")}
            </Button>
          }
        >
          <ul className={styles.sentences}>
            {solved.changes.map((change, place) => (
              <li key={place}>
                {told(change.words)}
                {change.sentence && <span className={layout.soft}> {t("plan.said", { sentence: change.sentence })}</span>}
              </li>
            ))}
          </ul>
        </Card>
      )}
      {solved.remarks.length > 0 && (
        <Card title={t("plan.remarks")}>
          <ul className={styles.sentences}>
            {solved.remarks.map((remark, place) => (
              <li key={place}>{told(remark)}</li>
            ))}
          </ul>
        </Card>
      )}
      {solved.tables.map((table) => (
        <Card key={table.name} title={told(table.title)} note={t("plan.rows", { count: table.count, shown: formatNumber(table.count) })}>
          <Cells table={table} />
          {table.count > table.rows.length && <p className={layout.soft}>{t("plan.more", { shown: table.rows.length, count: formatNumber(table.count) })}</p>}
        </Card>
      ))}
      <Card title={t("plan.files")}>
        <ul className={styles.files}>
          {solved.files.map((name) => (
            <li key={name}>
              <FileLink address={fileAddress(plan, name, at)} name={name} words={fileWords(t, name, solved)} /> <span className={layout.soft}>{name}</span>
            </li>
          ))}
        </ul>
      </Card>
    </>
  );
}

/** What a file is, for people. */
function fileWords(t: TFunction, name: string, solved: Solved): string {
  const ending = name.slice(name.lastIndexOf(".") + 1);
  const table = solved.tables.find((one) => name === `${one.name}.csv`);
  if (table) return t("plan.file.table", { title: told(table.title) });
  if (name === "drivers.html" || name === "page.html" || name === "map.html" || name === "map.svg" || name === "plan.json") return t(`plan.file.${name.replace(".", "_")}`);
  return t(`plan.file.${ending === "gpx" || ending === "svg" ? ending : "other"}`, { name: name.slice(0, -ending.length - 1).replaceAll("_", " ") });
}

/** A drawing of the plan, with its words in the chosen language. It is shown as an image: nothing in it can run. */
function Picture({ address, name }: { address: string; name: string }): ReactNode {
  const { i18n } = useTranslation();
  const drawing = useQuery({ queryKey: ["drawing", address, i18n.language], queryFn: async () => translatedDrawing(await (await fetch(address)).text()), staleTime: Infinity, enabled: i18n.language !== "en" });
  const { words, source } = drawing.data ?? { words: "", source: address };
  if (drawing.isLoading) return null;
  return <img src={source} alt={words || name.replace(/\.svg$/, "").replaceAll("_", " ")} />;
}

/** A file to take along. Pages and drawings come in the chosen language, and tables as its spreadsheets open them. Tracks and the plan are for programs, and come as they are. */
function FileLink({ address, name, words }: { address: string; name: string; words: string }): ReactNode {
  const { i18n } = useTranslation();
  const ending = name.slice(name.lastIndexOf(".") + 1);
  const made = ending === "csv" ? spreadsheet : i18n.language === "en" ? undefined : ending === "html" ? translatedPage : ending === "svg" ? (svg: string) => translatedDrawing(svg).drawing : undefined;
  async function save(make: (text: string) => string): Promise<void> {
    const answer = await fetch(address);
    if (!answer.ok) {
      window.location.assign(address); // the server says why
      return;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([make(await answer.text())], { type: { csv: "text/csv", svg: "image/svg+xml" }[ending] ?? "text/html" }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  }
  return (
    <a href={address} download={name} onClick={made && ((event) => (event.preventDefault(), void save(made)))}>
      {words}
    </a>
  );
}

function Cells({ table }: { table: Solved["tables"][number] }): ReactNode {
  const shown = table.columns.flatMap((column, place) => (HIDDEN.has(column) ? [] : [place]));
  const numeric = table.columns.map((column, place) => !NAMES.has(column) && table.rows.length > 0 && table.rows.every((row) => row[place] === "" || NUMBER.test(row[place] ?? "")));
  return (
    <div className={styles.scroll} tabIndex={0} role="region" aria-label={told(table.title)}>
      <table className={styles.table}>
        <thead>
          <tr>
            {shown.map((place) => (
              <th key={place} scope="col" className={numeric[place] ? styles.number : undefined}>
                {columnWords(table.columns[place] ?? "")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, number) => (
            <tr key={number}>
              {shown.map((place) => {
                const cell = row[place] ?? "";
                return (
                  <td key={place} className={cx(numeric[place] && styles.number, cell.length <= SHORT ? styles.short : styles.long)}>
                    {numeric[place] && cell !== "" ? formatNumber(Number(cell), { maximumFractionDigits: 6 }) : NAMES.has(table.columns[place] ?? "") ? cell : cellWords(cell)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
