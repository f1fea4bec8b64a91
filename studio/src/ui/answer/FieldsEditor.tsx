import { type ReactNode, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button } from "../Button";
import { cx } from "../cx";
import { TextField } from "../Field";
import styles from "./Answer.module.css";
import { type EditorProps, SaveBar } from "./SaveBar";
import { type AnswerField, type Fields, fieldsFor, isEmpty, nested, newField, placesOf, read, typedText, valueAt } from "./answers";
import { hue, MarkedText, selectedIn } from "./MarkedText";

/** Fill in the fields of a text, each in a box of its own kind. Words that are selected in the text go into the box that was used last. */
export function FieldsEditor({ form, text, second, start, save, onMarks, ...bar }: EditorProps & { start: Fields; onMarks?: (() => void) | undefined }): ReactNode {
  const { t } = useTranslation();
  const [fields, setFields] = useState<readonly AnswerField[]>(() => fieldsFor(form, start));
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>(() => Object.fromEntries(fields.map((field) => [field.path, typedText(field, valueAt(start, field.path))])));
  const [active, setActive] = useState<string | null>(null);
  const place = useRef<HTMLParagraphElement>(null);
  const values = fields.map((field) => [field, read(field, typed[field.path] ?? "")] as const);
  const wrong = values.some(([, value]) => value === undefined);
  const change = (path: string, value: string) => setTyped((before) => ({ ...before, [path]: value }));

  function take(): void {
    const words = selectedIn(place.current)?.text;
    if (words === undefined || bar.disabled) return;
    const takes = (field: AnswerField) => field.kind === "text" || field.kind === "number" || field.kind === "integer";
    const field = fields.find((one) => one.path === active && takes(one)) ?? fields.find((one) => takes(one) && !typed[one.path]?.trim());
    if (!field) return;
    setActive(field.path);
    change(field.path, field.many && typed[field.path]?.trim() ? `${typed[field.path] ?? ""}\n${words}` : words);
    window.getSelection()?.removeAllRanges();
  }

  const paths = fields.map((field) => field.path);
  const places = placesOf(text, values.filter(([, value]) => value !== undefined).map(([field, value]) => [field.path, value] as const));
  return (
    <div className={styles.editor}>
      <MarkedText refer={place} text={text} marks={places} names={paths} onSelected={take} box />
      {second && <p className={cx(styles.marked, styles.box)}>{second}</p>}
      {fields.length > 0 && <p className={styles.soft}>{t("answer.selectHint")}</p>}
      {fields.length === 0 && <p>{t("answer.firstField")}</p>}
      <div className={styles.fields}>
        {values.map(([field, value], number) => (
          <FieldBox key={field.path} field={field} number={number} value={typed[field.path] ?? ""} wrong={value === undefined} active={field.path === active} disabled={bar.disabled === true} onFocus={() => setActive(field.path)} onChange={(next) => change(field.path, next)} />
        ))}
      </div>
      {!form.fixed && (
        <NewField
          first={fields.length === 0}
          known={paths}
          disabled={bar.disabled === true}
          onAdd={(path) => {
            setFields([...fields, newField(path)]);
            setActive(path);
          }}
        />
      )}
      {onMarks && (
        <p className={styles.soft}>
          {t("answer.orMarks")}{" "}
          <button type="button" className={styles.link} onClick={onMarks}>
            {t("answer.markWords")}
          </button>
        </p>
      )}
      <SaveBar {...bar} disabled={bar.disabled === true || wrong || fields.length === 0} save={() => save(nested(values.map(([field, value]) => [field.path, isEmpty(value) && !field.many ? null : value] as const)))} />
    </div>
  );
}

interface BoxProps {
  field: AnswerField;
  number: number;
  value: string;
  wrong: boolean;
  active: boolean;
  disabled: boolean;
  onFocus: () => void;
  onChange: (value: string) => void;
}

function FieldBox({ field, number, value, wrong, active, disabled, onFocus, onChange }: BoxProps): ReactNode {
  const { t } = useTranslation();
  const id = useId();
  const attributes = { id, value, disabled, onFocus, "aria-invalid": wrong ? true : undefined, "aria-describedby": wrong ? `${id}-error` : field.about ? `${id}-about` : undefined, onChange: (event: { target: { value: string } }) => onChange(event.target.value) };
  return (
    <div className={cx(styles.row, active && styles.active)}>
      <label htmlFor={id}>
        <i className={styles.dot} style={hue(number)} aria-hidden="true" />
        {field.path}
      </label>
      <div>
        <Box field={field} attributes={attributes} list={`${id}-values`} />
        {wrong && (
          <p id={`${id}-error`} className={styles.error} role="alert">
            {t(`answer.wrong.${field.kind}`, { defaultValue: t("answer.wrong.json") })}
          </p>
        )}
        {field.about && !wrong && (
          <p id={`${id}-about`} className={styles.soft}>
            {field.about}
          </p>
        )}
      </div>
    </div>
  );
}

type Attributes = { id: string; value: string; disabled: boolean; onFocus: () => void; onChange: (event: { target: { value: string } }) => void };

function Box({ field, attributes, list }: { field: AnswerField; attributes: Attributes; list: string }): ReactNode {
  const { t } = useTranslation();
  if (field.many || field.kind === "json") return <textarea {...attributes} rows={2} placeholder={field.kind === "json" ? undefined : t("answer.oneALine")} className={styles.control} />;
  if (field.kind === "choice" || field.kind === "truth") {
    const options = field.kind === "truth" ? [["true", t("answer.yes")], ["false", t("answer.no")]] : field.options.map((option) => [String(option), String(option)]);
    return (
      <select {...attributes} className={styles.control}>
        <option value="">{t("answer.notSaid")}</option>
        {attributes.value !== "" && !options.some(([value]) => value === attributes.value) && <option value={attributes.value}>{attributes.value}</option>}
        {options.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    );
  }
  const number = field.kind === "number" || field.kind === "integer";
  const suggested = field.kind === "text" && field.values.length > 0;
  return (
    <>
      <input {...attributes} type={field.kind === "date" ? "date" : "text"} inputMode={number ? "decimal" : undefined} placeholder={t("answer.notSaid")} autoComplete="off" list={suggested ? list : undefined} className={styles.control} />
      {suggested && (
        <datalist id={list}>
          {field.values.map((known) => (
            <option key={String(known.value)} value={String(known.value)} />
          ))}
        </datalist>
      )}
    </>
  );
}

function NewField({ first, known, disabled, onAdd }: { first: boolean; known: readonly string[]; disabled: boolean; onAdd: (path: string) => void }): ReactNode {
  const { t } = useTranslation();
  const [open, setOpen] = useState(first);
  const [name, setName] = useState("");
  const path = name.trim().replaceAll(".", " ");
  const add = () => {
    if (path === "" || known.includes(path)) return;
    onAdd(path);
    setName("");
  };
  if (!open) {
    return (
      <div>
        <Button small kind="quiet" icon="plus" disabled={disabled} onClick={() => setOpen(true)}>
          {t("answer.addField")}
        </Button>
      </div>
    );
  }
  return (
    <div className={styles.add}>
      <TextField
        label={t("answer.fieldName")}
        placeholder={t("answer.fieldExample")}
        value={name}
        maxLength={80}
        disabled={disabled}
        onChange={(event) => setName(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          add();
        }}
      />
      <Button icon="plus" disabled={disabled || path === "" || known.includes(path)} onClick={add}>
        {t("answer.addField")}
      </Button>
    </div>
  );
}
