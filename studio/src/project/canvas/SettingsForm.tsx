import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { fieldsOf, type ObjectSchema } from "../../ui/schema";
import { SettingField } from "../../ui/SchemaForm";
import styles from "./Canvas.module.css";
import { shortly } from "./names";
import type { Kind, Mistake, Step } from "./queries";

interface Props {
  node: Step;
  kind: Kind | undefined;
  mistakes: readonly Mistake[];
  onChange: (section: string, name: string, value: unknown) => void;
  /** Settings that are set elsewhere, or that nothing would follow, by section and name. */
  hide: readonly string[];
}

const MAIN = 3;

/** The settings of a step, drawn from the schemas of the parts that own them. */
export function SettingsForm({ node, kind, mistakes, onChange, hide }: Props): ReactNode {
  const { t } = useTranslation();
  const all = Object.entries(kind?.schemas ?? {}).flatMap(([section, schema]) =>
    fieldsOf(schema as ObjectSchema).map((field) => ({ section, name: field.name, field, value: node.settings[section]?.[field.name] })),
  ).filter(({ section, name }) => !hide.includes(`${section}.${name}`));
  const known = new Set(Object.entries(kind?.schemas ?? {}).flatMap(([section, schema]) => Object.keys((schema as ObjectSchema).properties ?? {}).map((name) => `${section}.${name}`)));
  const strangers = Object.entries(node.settings).flatMap(([section, held]) => Object.entries(held).filter(([name]) => !known.has(`${section}.${name}`) && name !== "task").map(([name, value]) => ({ section, name, value })));
  const main = all.filter((one, place) => (place < MAIN && node.kind !== "unsure") || one.field.asked || one.value !== undefined);
  const rest = all.filter((one) => !main.includes(one));
  const field = (one: (typeof all)[number]) => (
    <SettingField
      key={`${one.section}.${one.name}`}
      section={one.section}
      field={one.field}
      value={one.value}
      error={mistakes.filter((mistake) => mistake.place === (one.section ? `${one.section}.${one.name}` : one.name)).map((mistake) => told(mistake.text))[0]}
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
