import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { type Upload, useImport, useLookAgain, useMay, useUpload } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Notice } from "../../ui/Feedback";
import { Select, Switch, TextArea } from "../../ui/Field";
import { FileButton, FileDrop, TABLES } from "../../ui/FileDrop";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { canAdd, toggled } from "./columns";
import styles from "./Data.module.css";

/** A file whose rows were added. */
export interface AddedFile {
  file: string;
  rows: number;
  skipped: number;
}

/** Where a file is dropped, chosen or pasted; `compact` is a button alone. `ways`: further ways to rows. */
export function ImportFile({ project, compact = false, ways, onAdded }: { project: string; compact?: boolean; ways?: ReactNode; onAdded: (added: AddedFile) => void }): ReactNode {
  const { t } = useTranslation();
  const upload = useUpload(project);
  const mayEdit = useMay("edit");
  const [pasting, setPasting] = useState(false);
  const take = (file: File | undefined) => file && upload.mutate(file);
  const takeText = (text: string) => take(pasted(text, t("data.pasted")));
  const paste = (
    <Button kind={compact ? "quiet" : "plain"} small={compact} icon="copy" disabled={!mayEdit} title={mayEdit ? undefined : t("data.mayNot")} onClick={() => setPasting(true)}>
      {t("data.paste")}
    </Button>
  );
  const button = { accept: TABLES, busy: upload.isPending, disabled: !mayEdit, onFile: take };
  return (
    <>
      {compact ? (
        <>
          {paste}
          <FileButton {...button} small label={t("data.addFile")} />
        </>
      ) : (
        <FileDrop {...button} label={t("data.chooseFile")} title={t("data.dropTitle")} about={t("data.dropAbout")} reading={t("data.reading")} onText={takeText} ways={<>{paste}{ways}</>} />
      )}
      <Problem query={{ error: upload.error }} />
      {pasting && (
        <PasteRows
          onClose={() => setPasting(false)}
          onRows={(text) => {
            setPasting(false);
            takeText(text);
          }}
        />
      )}
      {upload.data && <SentFile project={project} upload={upload.data} onAdded={onAdded} onClose={() => upload.reset()} />}
    </>
  );
}

function PasteRows({ onClose, onRows }: { onClose: () => void; onRows: (text: string) => void }): ReactNode {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={t("data.pasteTitle")}
      about={t("data.pasteAbout")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" disabled={!text.trim()} onClick={() => onRows(text)}>
            {t("data.pasteRead")}
          </Button>
        </>
      }
    >
      <TextArea label={t("data.pasteField")} rows={10} value={text} onChange={(event) => setText(event.target.value)} />
    </Dialog>
  );
}

function pasted(text: string, name: string): File | undefined {
  return text.trim() ? new File([text], `${name}.${text.includes("\t") ? "tsv" : "csv"}`) : undefined;
}

/** A sent file, looked at again where somebody says that its first row is an example or is none, or chooses another sheet. */
export function SentFile({ project, upload, ...rest }: { project: string; upload: Upload; onAdded: (added: AddedFile) => void; onClose: () => void }): ReactNode {
  const again = useLookAgain(project, upload.upload);
  const shown = again.data ?? upload;
  return <ChooseColumns key={`${shown.header} ${shown.facts["sheet"]}`} project={project} upload={shown} again={again} {...rest} />;
}

function ChooseColumns({ project, upload, again, onAdded, onClose }: { project: string; upload: Upload; again: ReturnType<typeof useLookAgain>; onAdded: (added: AddedFile) => void; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const add = useImport(project, ({ version, skipped }) => {
    onAdded({ file: upload.name, rows: version.changed, skipped });
    onClose();
  });
  const [input, setInput] = useState(upload.input[0] ?? "");
  const [given, setGiven] = useState<readonly string[]>(upload.input);
  const [second, setSecond] = useState(upload.input[1] ?? "");
  const [labels, setLabels] = useState<readonly string[]>(upload.label);
  const [part, setPart] = useState<"train" | "test">("train");
  const [several, setSeveral] = useState(upload.several);
  const { sheet, sheets = "", above = "0", format = "" } = upload.facts;
  const columns = upload.columns.map((name) => ({ value: name, label: name }));
  const fields = upload.most_label > 1;
  const texts = upload.attributes ? given : second ? [input, second] : [input];
  const words = (name: string) => t(upload.attributes ? `data.written.${name}` : `data.${name}`);
  const label = labels.filter((name) => !texts.includes(name));
  const used = new Set([...texts, ...label]);

  function submit(): void {
    const separated = several ? { several, separator: upload.separator } : { several, separator: "" };
    add.mutate({ upload: upload.upload, input: [...texts], label: [...label], part, settings: { header: upload.header, ...(sheet && { sheet }) }, ...separated });
  }

  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={upload.name}
      about={t("data.columnsAbout")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" busy={add.isPending} disabled={!canAdd(texts, label) || (!upload.attributes && input === second)} onClick={submit}>
            {t(upload.unreadable > 0 ? "data.addOthers" : "data.add")}
          </Button>
        </>
      }
    >
      <div className={styles.choices}>
        {sheets.includes("\n") && <Select label={t("data.sheet")} help={t("data.sheetHelp")} options={sheets.split("\n").map((name) => ({ value: name, label: name }))} value={sheet} disabled={again.isPending} onChange={(event) => again.mutate({ header: true, sheet: event.target.value })} />}
        {!upload.attributes && <Select label={t("data.inputColumn")} help={t("data.inputHelp")} options={input ? columns : [{ value: "", label: t("data.chooseColumn") }, ...columns]} value={input} onChange={(event) => setInput(event.target.value)} />}
        {!fields && (
          <Select label={words("labelColumn")} help={words("labelHelp")} options={[{ value: "", label: words("noLabel") }, ...columns.filter(({ value }) => upload.attributes || !texts.includes(value))]} value={label[0] ?? ""} onChange={(event) => {
              setLabels(event.target.value ? [event.target.value] : []);
              setGiven(given.filter((name) => name !== event.target.value));
            }} />
        )}
        {upload.columns.length > 2 && !fields && !upload.attributes && <Select label={t("data.secondColumn")} help={t("data.secondHelp")} options={[{ value: "", label: t("data.noSecond") }, ...columns.filter(({ value }) => value !== input)]} value={second} onChange={(event) => setSecond(event.target.value)} />}
        <Select label={t("data.part")} help={t("data.partHelp")} options={[{ value: "train", label: t("data.train") }, { value: "test", label: t("data.test") }]} value={part} onChange={(event) => setPart(event.target.value as "train" | "test")} />
      </div>
      {fields && (
        <fieldset className={styles.ticks}>
          <legend>{t("data.fieldColumns")}</legend>
          {upload.columns
            .filter((name) => !texts.includes(name))
            .map((name) => (
              <label key={name}>
                <input type="checkbox" checked={label.includes(name)} onChange={(event) => setLabels(event.target.checked ? upload.columns.filter((other) => other === name || label.includes(other)) : label.filter((other) => other !== name))} />
                {name}
              </label>
            ))}
          <p>{t("data.fieldColumnsHelp")}</p>
        </fieldset>
      )}
      {upload.may_have_several && label.length > 0 && <Switch label={t("data.several")} checked={several} onChange={(event) => setSeveral(event.target.checked)} />}
      {upload.attributes && (
        <fieldset className={styles.ticks}>
          <legend>{t("data.written.inputColumn")}</legend>
          {upload.columns
            .filter((name) => !label.includes(name))
            .map((name) => (
              <label key={name}>
                <input type="checkbox" checked={given.includes(name)} onChange={() => setGiven(toggled(given, name, upload.columns))} />
                {name}
              </label>
            ))}
          <p>{t("data.written.inputHelp")}</p>
        </fieldset>
      )}
      {["csv", "xlsx"].includes(format) && <Switch label={t("data.header")} checked={upload.header} disabled={again.isPending} onChange={(event) => again.mutate({ header: event.target.checked, ...(sheet && { sheet }) })} />}
      {above !== "0" && <p className={styles.why}>{t("data.above", { count: Number(above), rows: formatNumber(Number(above)) })}</p>}
      {upload.unreadable > 0 && (
        <Notice tone="warn">
          <p>{t("data.unreadable", { count: upload.unreadable, rows: formatNumber(upload.unreadable) })}</p>
          {upload.faults.map((fault) => (
            <p key={fault.row} className={styles.why}>
              {t("data.unreadableRow", { row: fault.row })}: <code>{fault.value}</code>. {told(fault.what)}.
            </p>
          ))}
        </Notice>
      )}
      {label.length === 0 && <Notice>{fields ? t("data.noFieldsNotice") : words("unlabelledNotice")}</Notice>}
      {/* A region that scrolls takes the focus, so that arrow keys scroll it. */}
      <div className={styles.preview} tabIndex={0} role="region" aria-label={t("data.preview")}>
        <table>
          <thead>
            <tr>
              {upload.columns.map((name) => (
                <th key={name} scope="col" className={cx(used.has(name) && styles.used)}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {upload.rows.slice(0, 12).map((row, number) => (
              <tr key={number}>
                {upload.columns.map((name) => (
                  <td key={name} className={cx(used.has(name) && styles.used)}>
                    {shown(row[name])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Problem query={{ error: add.error ?? again.error }} />
    </Dialog>
  );
}

/** A value as a text: texts as they are, everything else as JSON. */
export function shown(value: unknown): string {
  return value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
}
