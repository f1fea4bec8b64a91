import { type DragEvent, type ReactNode, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { type Upload, useImport, useUpload } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Notice, ProgressBar } from "../../ui/Feedback";
import { Select, TextArea } from "../../ui/Field";
import { Icon } from "../../ui/icons";
import { Dialog, useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import styles from "./Data.module.css";

const TYPES = ".csv,.tsv,.txt,.jsonl,.ndjson,.json,.parquet,.xlsx";

/** Where a file is dropped, chosen or pasted; `compact` is a button alone. */
export function ImportFile({ project, compact = false }: { project: string; compact?: boolean }): ReactNode {
  const { t } = useTranslation();
  const upload = useUpload(project);
  const picker = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [pasting, setPasting] = useState(false);
  const take = (file: File | undefined) => file && upload.mutate(file);

  function drop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0] ?? pasted(event.dataTransfer.getData("text/plain"), t("data.pasted")));
  }

  const paste = (
    <Button kind={compact ? "quiet" : "plain"} small={compact} icon="copy" onClick={() => setPasting(true)}>
      {t("data.paste")}
    </Button>
  );
  const choose = (
    <>
      <Button kind={compact ? "plain" : "primary"} small={compact} icon="upload" busy={upload.isPending} onClick={() => picker.current?.click()}>
        {compact ? t("data.addFile") : t("data.chooseFile")}
      </Button>
      <input
        ref={picker}
        type="file"
        accept={TYPES}
        className="visually-hidden"
        tabIndex={-1}
        aria-label={t("data.chooseFile")}
        onChange={(event) => {
          take(event.target.files?.[0]);
          event.target.value = "";
        }}
      />
    </>
  );
  return (
    <>
      {compact ? (
        <>
          {paste}
          {choose}
        </>
      ) : (
        // Dropping and pasting are further ways to what the button below does.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
        <div
          role="group"
          aria-label={t("data.dropTitle")}
          className={cx(styles.drop, over && styles.over)}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={drop}
          onPaste={(event) => take(event.clipboardData.files[0] ?? pasted(event.clipboardData.getData("text/plain"), t("data.pasted")))}
        >
          <Icon name="upload" size={32} />
          <h2>{t("data.dropTitle")}</h2>
          <p>{t("data.dropAbout")}</p>
          <div className={styles.ways}>
            {choose}
            {paste}
          </div>
          {upload.isPending && <ProgressBar share={null} label={t("data.reading")} />}
        </div>
      )}
      <Problem query={{ error: upload.error }} />
      {pasting && (
        <PasteRows
          onClose={() => setPasting(false)}
          onRows={(text) => {
            setPasting(false);
            take(pasted(text, t("data.pasted")));
          }}
        />
      )}
      {upload.data && <ChooseColumns project={project} upload={upload.data} onClose={() => upload.reset()} />}
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

function ChooseColumns({ project, upload, onClose }: { project: string; upload: Upload; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const add = useImport(project);
  const toast = useToast();
  const [input, setInput] = useState(upload.input[0] ?? "");
  const [label, setLabel] = useState(upload.label[0] ?? "");
  const [part, setPart] = useState<"train" | "test">("train");
  const columns = upload.columns.map((name) => ({ value: name, label: name }));
  const single = upload.label.length < 2;

  function submit(): void {
    const wanted = { upload: upload.upload, input: upload.input.length === 2 ? upload.input : [input], label: single ? (label ? [label] : []) : upload.label, part, settings: {} };
    add.mutate(wanted, {
      onSuccess: ({ version, skipped }) => {
        toast({ text: t("data.added", { rows: formatNumber(version.changed), skipped: formatNumber(skipped), count: skipped }) });
        onClose();
      },
    });
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
          <Button kind="primary" busy={add.isPending} disabled={!input || input === label} onClick={submit}>
            {t("data.add")}
          </Button>
        </>
      }
    >
      <div className={styles.choices}>
        <Select label={t("data.inputColumn")} help={t("data.inputHelp")} options={columns} value={input} onChange={(event) => setInput(event.target.value)} />
        {single && (
          <Select label={t("data.labelColumn")} help={t("data.labelHelp")} options={[{ value: "", label: t("data.noLabel") }, ...columns]} value={label} error={input === label ? t("data.sameColumn") : undefined} onChange={(event) => setLabel(event.target.value)} />
        )}
        <Select label={t("data.part")} help={t("data.partHelp")} options={[{ value: "train", label: t("data.train") }, { value: "test", label: t("data.test") }]} value={part} onChange={(event) => setPart(event.target.value as "train" | "test")} />
      </div>
      {!label && single && <Notice>{t("data.unlabelledNotice")}</Notice>}
      {/* A region that scrolls takes the focus, so that arrow keys scroll it. */}
      <div className={styles.preview} tabIndex={0} role="region" aria-label={t("data.preview")}>
        <table>
          <thead>
            <tr>
              {upload.columns.map((name) => (
                <th key={name} scope="col" className={cx((name === input || name === label) && styles.used)}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {upload.rows.slice(0, 12).map((row, number) => (
              <tr key={number}>
                {upload.columns.map((name) => (
                  <td key={name} className={cx((name === input || name === label) && styles.used)}>
                    {shown(row[name])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Problem query={{ error: add.error }} />
    </Dialog>
  );
}

/** A value as a text: texts as they are, everything else as JSON. */
export function shown(value: unknown): string {
  return value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
}
