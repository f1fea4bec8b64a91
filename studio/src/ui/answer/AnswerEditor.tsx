import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button } from "../Button";
import { Select, Switch, TextArea, TextField } from "../Field";
import styles from "./Answer.module.css";
import { isFields, spansOf } from "./answers";
import { FieldsEditor } from "./FieldsEditor";
import { type EditorProps, SaveBar } from "./SaveBar";
import { SpansEditor } from "./SpansEditor";

const MOST_SWITCHES = 60;

/** Give an answer by hand, whatever its kind: a label, several, marked words, fields, or a text. Nobody writes JSON, but for a nested list. */
export function AnswerEditor(props: EditorProps): ReactNode {
  const { form, text, start } = props;
  const [words, setWords] = useState(form.shape === "spans");
  const undecided = form.read === 0 && (form.shape === "fields" || form.shape === "spans") && !form.fixed;
  const shape = isFields(start) ? "fields" : spansOf(start).length > 0 ? "spans" : undecided ? (words ? "spans" : "fields") : form.shape;
  switch (shape) {
    case "labels":
      return <LabelsEditor {...props} />;
    case "fields":
      return <FieldsEditor key={text} {...props} start={isFields(start) ? (start) : {}} onMarks={undecided && start === null ? () => setWords(true) : undefined} />;
    case "spans":
      return <SpansEditor key={text} {...props} start={spansOf(start)} onFields={undecided && start === null ? () => setWords(false) : undefined} />;
    case "label":
      return <LabelEditor {...props} />;
    default:
      return <TextEditor {...props} />;
  }
}

function LabelEditor({ form, start, save, ...bar }: EditorProps): ReactNode {
  const { t } = useTranslation();
  const [label, setLabel] = useState(typeof start === "string" ? start : "");
  const names = [...new Set([...(label ? [label] : []), ...form.names.map((known) => known.name)])];
  return (
    <div className={styles.editor}>
      <Select label={t("answer.label")} value={label} disabled={bar.disabled} options={[{ value: "", label: t("answer.choose") }, ...names.map((name) => ({ value: name, label: name }))]} onChange={(event) => setLabel(event.target.value)} />
      <SaveBar {...bar} disabled={bar.disabled === true || label === ""} save={() => save(label)} />
    </div>
  );
}

function LabelsEditor({ form, start, save, ...bar }: EditorProps): ReactNode {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<readonly string[]>(Array.isArray(start) ? start.filter((one) => typeof one === "string") : []);
  const [typed, setTyped] = useState("");
  const all = [...new Set([...form.names.map((known) => known.name), ...chosen])];
  const wanted = typed.trim().toLowerCase();
  const names = all.filter((name) => chosen.includes(name) || name.toLowerCase().includes(wanted)).slice(0, MOST_SWITCHES);
  const isNew = wanted !== "" && !all.some((name) => name.toLowerCase() === wanted);
  return (
    <div className={styles.editor}>
      <div className={styles.switches}>
        {names.map((label) => (
          <Switch key={label} label={label} disabled={bar.disabled} checked={chosen.includes(label)} onChange={(event) => setChosen(event.target.checked ? [...chosen, label] : chosen.filter((other) => other !== label))} />
        ))}
      </div>
      <div className={styles.add}>
        <TextField label={t("answer.findLabel")} value={typed} disabled={bar.disabled} onChange={(event) => setTyped(event.target.value)} />
        <Button
          disabled={!isNew || bar.disabled}
          onClick={() => {
            setChosen([...chosen, typed.trim()]);
            setTyped("");
          }}
        >
          {t("answer.addLabel")}
        </Button>
      </div>
      <SaveBar {...bar} save={() => save([...chosen].sort())} />
    </div>
  );
}

function TextEditor({ start, save, ...bar }: EditorProps): ReactNode {
  const { t } = useTranslation();
  const plain = typeof start === "string" || start === null;
  const [value, setValue] = useState(plain ? (start ?? "") : JSON.stringify(start, null, 2));
  return (
    <div className={styles.editor}>
      <TextArea label={t("answer.rightText")} rows={5} value={value} disabled={bar.disabled} onChange={(event) => setValue(event.target.value)} />
      <SaveBar {...bar} disabled={bar.disabled === true || value.trim() === ""} save={() => save(plain ? value : asJson(value))} />
    </div>
  );
}

function asJson(value: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}
