import { type DragEvent, type ReactNode, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../../api/queries";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { failureOf } from "../../ui/failure";
import { Notice, ProgressBar } from "../../ui/Feedback";
import dropStyles from "../../ui/FileDrop.module.css";
import { Icon } from "../../ui/icons";
import layout from "../../ui/Layout.module.css";
import styles from "./Documents.module.css";
import { chosenFiles, type DroppedFile, droppedFiles } from "./dropped";
import { sendFile, useFilesChanged } from "./queries";

const ACCEPT = ".md,.markdown,.html,.htm,.pdf,.docx,.txt,.csv,.xlsx,.jsonl,.zip";

interface Sent {
  taken: number;
  left: { name: string; reason: string }[];
}

/** A place for documents: files, whole folders, or a ZIP file. `beside`: small, beside what is there already. */
export function DropDocuments({ project, beside }: { project: string; beside: boolean }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const changed = useFilesChanged(project);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [going, setGoing] = useState<{ done: number; total: number } | null>(null);
  const [sent, setSent] = useState<Sent | null>(null);

  async function take(chosen: readonly DroppedFile[]): Promise<void> {
    if (chosen.length === 0 || going) return;
    const result: Sent = { taken: 0, left: [] };
    setSent(null);
    for (const [done, one] of chosen.entries()) {
      setGoing({ done, total: chosen.length });
      try {
        const found = await sendFile(project, "documents", one.name, one.file);
        result.taken += found.taken.length;
        result.left.push(...found.left_out.map((left) => ({ name: left.name, reason: told(left.reason) })));
      } catch (error) {
        result.left.push({ name: one.name, reason: failureOf(t, error as Error).message });
      }
    }
    setGoing(null);
    setSent(result);
    await changed();
  }

  function drop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    if (may) void droppedFiles(event.dataTransfer).then(take);
  }

  return (
    <div className={layout.close}>
      {/* Dropping is a further way to what the buttons below do. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <div
        role="group"
        aria-label={t("documents.drop")}
        className={cx(dropStyles.drop, beside && dropStyles.beside, over && may && dropStyles.over)}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        {!beside && <Icon name="upload" size={32} />}
        {beside ? <p className={dropStyles.title}>{t("documents.dropMore")}</p> : <h2>{t("documents.drop")}</h2>}
        <p className={cx(beside && dropStyles.small)}>{t("documents.dropAbout")}</p>
        <div className={dropStyles.ways}>
          <Button kind={beside ? "plain" : "primary"} icon="upload" disabled={!may} busy={going !== null} onClick={() => files.current?.click()}>
            {t("documents.choose")}
          </Button>
          <Button disabled={!may || going !== null} onClick={() => folder.current?.click()}>
            {t("documents.chooseFolder")}
          </Button>
        </div>
        <input ref={files} type="file" multiple accept={ACCEPT} className="visually-hidden" tabIndex={-1} aria-label={t("documents.choose")} onChange={(event) => void take(chosenFiles(event.target.files))} onClick={(event) => (event.currentTarget.value = "")} />
        <input ref={folder} type="file" multiple className="visually-hidden" tabIndex={-1} aria-label={t("documents.chooseFolder")} {...{ webkitdirectory: "" }} onChange={(event) => void take(chosenFiles(event.target.files))} onClick={(event) => (event.currentTarget.value = "")} />
        {going && <ProgressBar share={going.total > 1 ? going.done / going.total : null} label={t("documents.sending", { done: going.done + 1, total: going.total })} />}
      </div>
      {sent && <Result sent={sent} />}
    </div>
  );
}

/** What came in, and each file that did not, with the reason. */
function Result({ sent }: { sent: Sent }): ReactNode {
  const { t } = useTranslation();
  if (sent.left.length === 0) return <Notice tone="good">{t("documents.taken", { count: sent.taken })}</Notice>;
  return (
    <Notice tone="warn">
      <p>{t("documents.partly", { count: sent.left.length, taken: sent.taken })}</p>
      <ul className={styles.reasons}>
        {sent.left.map((one) => (
          <li key={one.name}>
            <code>{one.name}</code> {one.reason}
          </li>
        ))}
      </ul>
    </Notice>
  );
}
