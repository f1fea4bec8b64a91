import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button } from "../../ui/Button";
import { Select, TextArea, TextField } from "../../ui/Field";
import styles from "./Canvas.module.css";
import { settingTitle, shortly } from "./names";
import type { Kind, Mistake, Step } from "./queries";

interface Schema {
  type?: string;
  enum?: unknown[];
  anyOf?: Schema[];
  items?: Schema;
  default?: unknown;
  description?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  readOnly?: boolean;
  flag?: string;
}

interface Props {
  node: Step;
  kind: Kind | undefined;
  mistakes: readonly Mistake[];
  onChange: (section: string, name: string, value: unknown) => void;
}

const MAIN = 3;

/** The settings of a step, drawn from the schemas of the parts that own them. */
export function SettingsForm({ node, kind, mistakes, onChange }: Props): ReactNode {
  const { t } = useTranslation();
  const all = Object.entries(kind?.schemas ?? {}).flatMap(([section, schema]) =>
    Object.entries((schema["properties"] ?? {}) as Record<string, Schema>)
      .filter(([, one]) => !one.readOnly)
      .map(([name, one]) => ({ section, name, schema: one, value: node.settings[section]?.[name] })),
  );
  const known = new Set(Object.entries(kind?.schemas ?? {}).flatMap(([section, schema]) => Object.keys(schema["properties"] ?? {}).map((name) => `${section}.${name}`)));
  const strangers = Object.entries(node.settings).flatMap(([section, held]) => Object.entries(held).filter(([name]) => !known.has(`${section}.${name}`) && name !== "task").map(([name, value]) => ({ section, name, value })));
  const main = all.filter((one, place) => place < MAIN || one.schema.flag !== undefined || one.value !== undefined);
  const rest = all.filter((one) => !main.includes(one));
  const field = (one: (typeof all)[number]) => (
    <SettingField
      key={`${one.section}.${one.name}`}
      label={settingTitle(t, one.section, one.name)}
      schema={one.schema}
      value={one.value}
      error={mistakes.find((mistake) => mistake.place === (one.section ? `${one.section}.${one.name}` : one.name))?.text}
      onChange={(value) => onChange(one.section, one.name, value)}
    />
  );
  return (
    <div className={styles.form}>
      {main.map(field)}
      {rest.length > 0 && (
        <details>
          <summary>{t("canvas.moreSettings", { count: rest.length })}</summary>
          <div className={styles.form}>{rest.map(field)}</div>
        </details>
      )}
      {strangers.map(({ section, name, value }) => (
        <div key={`${section}.${name}`} className={styles.stranger}>
          <code>
            {name} = {shortly(value)}
          </code>
          <Button small kind="quiet" onClick={() => onChange(section, name, undefined)}>
            {t("canvas.takeAway")}
          </Button>
        </div>
      ))}
    </div>
  );
}

function SettingField({ label, schema, value, error, onChange }: { label: string; schema: Schema; value: unknown; error: string | undefined; onChange: (value: unknown) => void }): ReactNode {
  const { t } = useTranslation();
  const kind = schema.anyOf?.find((one) => one.type !== "null") ?? schema;
  const usual = schema.default === undefined || schema.default === null || schema.default === "" || (Array.isArray(schema.default) && schema.default.length === 0) ? t("canvas.usual") : t("canvas.usually", { value: shortly(schema.default) });
  const around = { label, help: schema.description, error };
  const choices = kind.enum ?? (kind.type === "boolean" ? [true, false] : undefined);
  if (choices) {
    const options = choices.map((one) => ({ value: JSON.stringify(one), label: one === true ? t("canvas.on") : one === false ? t("canvas.off") : String(one) }));
    const stray = value !== undefined && !choices.includes(value) ? [{ value: JSON.stringify(value), label: shortly(value) }] : [];
    return <Select {...around} value={value === undefined ? "" : JSON.stringify(value)} options={[{ value: "", label: usual }, ...options, ...stray]} onChange={(event) => onChange(event.target.value === "" ? undefined : (JSON.parse(event.target.value) as unknown))} />;
  }
  if (kind.type === "number" || kind.type === "integer") return <NumberField {...around} whole={kind.type === "integer"} usual={usual} value={value} onChange={onChange} />;
  if (kind.type === "array") return <ListField {...around} numbers={kind.items?.type === "number" || kind.items?.type === "integer"} usual={usual} value={value} onChange={onChange} />;
  const text = value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  const props = { ...around, value: text, placeholder: usual, onChange: (event: { target: { value: string } }) => onChange(event.target.value === "" ? undefined : event.target.value) };
  return (kind.maxLength ?? 0) >= 1_000 ? <TextArea {...props} /> : <TextField {...props} />;
}

/** A number; what is no number yet stays as text, so that the server can say so. */
function NumberField({ whole, usual, value, onChange, ...around }: { label: string; help: string | undefined; error: string | undefined; whole: boolean; usual: string; value: unknown; onChange: (value: unknown) => void }): ReactNode {
  const shown = value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  const [typed, setTyped] = useState(shown);
  const text = Number(typed) === value || typed === shown ? typed : shown;
  return (
    <TextField
      {...around}
      inputMode={whole ? "numeric" : "decimal"}
      placeholder={usual}
      value={text}
      onChange={(event) => {
        const next = event.target.value.replace(",", ".");
        setTyped(next);
        const number = Number(next);
        onChange(next.trim() === "" ? undefined : Number.isFinite(number) ? number : next);
      }}
    />
  );
}

/** Several values, one a line. */
function ListField({ numbers, usual, value, onChange, ...around }: { label: string; help: string | undefined; error: string | undefined; numbers: boolean; usual: string; value: unknown; onChange: (value: unknown) => void }): ReactNode {
  const shown = (Array.isArray(value) ? value : value === undefined ? [] : [value]).map(String).join("\n");
  const [typed, setTyped] = useState(shown);
  const list = (text: string) => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const text = list(typed).join("\n") === shown ? typed : shown;
  return (
    <TextArea
      {...around}
      rows={2}
      placeholder={usual}
      value={text}
      onChange={(event) => {
        setTyped(event.target.value);
        const items = list(event.target.value);
        onChange(items.length === 0 ? undefined : items.map((one) => (numbers && Number.isFinite(Number(one)) ? Number(one) : one)));
      }}
    />
  );
}
