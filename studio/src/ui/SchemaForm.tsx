import { type ReactNode, useId, useState } from "react";
import { useTranslation } from "react-i18next";

import { Select, Ticks, TextArea, TextField } from "./Field";
import { fieldsOf, type ObjectSchema, readValue, type SchemaField, written } from "./schema";
import styles from "./SchemaForm.module.css";
import { optionName, settingHelp, settingTitle } from "./settings";

interface SchemaFormProps {
  /** The section of the recipe that the settings belong to. */
  section: string;
  schema: ObjectSchema;
  /** The settings that were given; what is left out has its standard value. */
  value: Readonly<Record<string, unknown>>;
  /** Called with one setting; undefined takes it away again. */
  onChange: (name: string, value: unknown) => void;
  /** What the server says of a setting, by its name. */
  errors?: Readonly<Record<string, string>>;
  /** Settings that are set elsewhere. */
  hide?: readonly string[];
  /** Shown in an empty field that has no standard value, in place of "automatic". */
  empty?: string;
  /** A choice in words, where the form is of no part's settings. */
  named?: (choice: string) => string;
}

/** The settings of a part, drawn from its JSON Schema. */
export function SchemaForm({ section, schema, value, onChange, errors = {}, hide = [], empty, named }: SchemaFormProps): ReactNode {
  const fields = fieldsOf(schema).filter((field) => !hide.includes(field.name));
  return (
    <div className={styles.form}>
      {fields.map((field) => (
        <SettingField key={field.name} section={section} field={field} value={value[field.name]} error={errors[field.name]} empty={empty} named={named} onChange={(next) => onChange(field.name, next)} />
      ))}
    </div>
  );
}

/** One setting of a section of the recipe. */
export function SettingField({ section, field, value, error, empty, named, onChange }: { section: string; field: SchemaField; value: unknown; error: string | undefined; empty?: string | undefined; named?: ((choice: string) => string) | undefined; onChange: (value: unknown) => void }): ReactNode {
  const { t } = useTranslation();
  const [text, setText] = useState(written(value));
  const shown = value === undefined ? (text.trim() === "" ? text : "") : readsAs(field, text, value) ? text : written(value);
  const shared = { label: settingTitle(t, section, field.name), help: settingHelp(field.help), error };
  const standard = field.standard === "" ? (empty ?? (field.needed ? "" : t("form.automatic"))) : t("form.standard", { value: field.kind === "choice" ? optionName(t, field.name, field.standard) : field.standard.replaceAll("\n", ", ") });
  function type(next: string): void {
    setText(next);
    onChange(readValue(field, next));
  }
  if (field.kind === "choice" || field.kind === "switch") {
    const choices = field.kind === "switch" ? [{ value: "true", label: t("form.yes") }, { value: "false", label: t("form.no") }] : field.choices.map((choice) => ({ value: choice, label: named ? named(choice) : optionName(t, field.name, choice) }));
    const stray = value === undefined || choices.some((choice) => choice.value === written(value)) ? [] : [{ value: written(value), label: written(value) }];
    const usual = field.kind === "switch" ? t("form.standard", { value: t(field.standard === "true" ? "form.yes" : "form.no") }) : standard;
    const others = choices.filter((choice) => choice.value !== field.standard || choice.value === written(value));
    return <Select {...shared} value={written(value)} options={[{ value: "", label: usual }, ...others, ...stray]} onChange={(event) => onChange(readValue(field, event.target.value))} />;
  }
  if (field.kind === "several") {
    const chosen = (value === undefined ? field.standard : written(value)).split("\n").filter(Boolean);
    return <Ticks {...shared} options={field.choices} named={(choice) => optionName(t, field.name, choice)} chosen={chosen} onChange={(next) => onChange(next.join("\n") === field.standard ? undefined : next)} />;
  }
  if (field.kind === "list" || field.kind === "json" || field.long) return <TextArea {...shared} rows={3} placeholder={field.kind === "list" ? t("form.onePerLine") : standard} value={shown} onChange={(event) => type(event.target.value)} />;
  return <TextField {...shared} inputMode={field.kind !== "number" ? "text" : field.whole ? "numeric" : "decimal"} placeholder={standard} value={shown} onChange={(event) => type(event.target.value)} />;
}

/** Whether the typed text is one way to write the value: so that "0." may be typed on the way to "0.5". */
function readsAs(field: SchemaField, text: string, value: unknown): boolean {
  return JSON.stringify(readValue(field, text)) === JSON.stringify(value);
}

/** A part of a form that is opened by its title; `note` stands beside it, such as how much was changed. */
export function Disclosure({ title, about, note, open, onToggle, children }: { title: ReactNode; about?: ReactNode; note?: ReactNode; open: boolean; onToggle: (open: boolean) => void; children: ReactNode }): ReactNode {
  const id = useId();
  return (
    <details className={styles.disclosure} open={open} onToggle={(event) => onToggle(event.currentTarget.open)}>
      <summary aria-describedby={about ? id : undefined}>
        <span className={styles.title}>{title}</span>
        {note}
      </summary>
      {about && (
        <p id={id} className={styles.about}>
          {about}
        </p>
      )}
      {open && children}
    </details>
  );
}
