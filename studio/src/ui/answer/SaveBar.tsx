import type { ReactNode } from "react";

import { Button } from "../Button";
import styles from "./Answer.module.css";
import type { AnswerForm } from "./answers";

/** What an editor of answers is given, whatever their kind. */
export interface EditorProps {
  form: AnswerForm;
  /** The text that is answered. Its words can be selected. */
  text: string;
  second?: string | null | undefined;
  /** The answer to begin with. */
  start: unknown;
  save: (output: unknown) => void;
  saveLabel: string;
  busy?: boolean;
  disabled?: boolean;
  /** Further buttons beside the one that saves. */
  more?: ReactNode;
}

/** The button that saves, and others beside it. */
export function SaveBar({ save, saveLabel, busy = false, disabled = false, more }: Pick<EditorProps, "saveLabel" | "busy" | "disabled" | "more"> & { save: () => void }): ReactNode {
  return (
    <div className={styles.bar}>
      <Button kind="primary" icon="check" busy={busy} disabled={disabled} onClick={save}>
        {saveLabel}
      </Button>
      {more}
    </div>
  );
}
