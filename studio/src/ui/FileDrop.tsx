import { type DragEvent, type ReactNode, useRef, useState } from "react";

import { Button } from "./Button";
import { cx } from "./cx";
import { ProgressBar } from "./Feedback";
import styles from "./FileDrop.module.css";
import { Icon } from "./icons";

/** Endings of the tables that can be read. */
export const TABLES = ".csv,.tsv,.txt,.jsonl,.ndjson,.json,.parquet,.xlsx";

interface FileButtonProps {
  label: string;
  /** Endings of the files that can be chosen. */
  accept: string;
  onFile: (file: File) => void;
  kind?: "plain" | "primary";
  small?: boolean;
  busy?: boolean;
  disabled?: boolean;
}

/** A button that opens the system's own dialog for a file. */
export function FileButton({ label, accept, onFile, kind = "plain", small = false, busy = false, disabled = false }: FileButtonProps): ReactNode {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button kind={kind} small={small} icon="upload" busy={busy} disabled={disabled} onClick={() => picker.current?.click()}>
        {label}
      </Button>
      <input
        ref={picker}
        type="file"
        accept={accept}
        disabled={disabled}
        className="visually-hidden"
        tabIndex={-1}
        aria-label={label}
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) onFile(file);
          event.target.value = "";
        }}
      />
    </>
  );
}

interface FileDropProps extends FileButtonProps {
  title: string;
  about: string;
  /** Called with a text that is dropped or pasted here. */
  onText?: ((text: string) => void) | undefined;
  /** What is said while the file is sent. */
  reading: string;
  /** Small: beside other things; else the first thing of a page. */
  beside?: boolean;
  /** Further ways to the same. */
  ways?: ReactNode;
}

/** A place where a file is dropped, or chosen. */
export function FileDrop({ title, about, onText, reading, beside = false, ways, ...button }: FileDropProps): ReactNode {
  const [over, setOver] = useState(false);
  const allowed = button.disabled !== true && button.busy !== true;

  function take(data: DataTransfer): void {
    const file = data.files[0];
    const text = data.getData("text/plain");
    if (!allowed) return;
    if (file) button.onFile(file);
    else if (text.trim()) onText?.(text);
  }

  function drop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer);
  }

  return (
    // Dropping and pasting are further ways to what the button below does.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <div
      role="group"
      aria-label={title}
      className={cx(styles.drop, beside && styles.beside, over && allowed && styles.over)}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      onPaste={onText && ((event) => take(event.clipboardData))}
    >
      {!beside && <Icon name="upload" size={32} />}
      {beside ? <p className={styles.title}>{title}</p> : <h2>{title}</h2>}
      {!beside && <p>{about}</p>}
      <div className={styles.ways}>
        <FileButton {...button} kind={beside ? "plain" : (button.kind ?? "primary")} />
        {ways}
      </div>
      {beside && <p className={styles.small}>{about}</p>}
      {button.busy && <ProgressBar share={null} label={reading} />}
    </div>
  );
}
