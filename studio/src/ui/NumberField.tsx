import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber } from "../i18n";
import { TextField } from "./Field";
import { asTyped, type Bounds, fits, typedNumber } from "./numbers";

interface Props extends Bounds {
  label: ReactNode;
  help?: ReactNode;
  /** null: nothing is said. */
  value: number | null;
  /** Called with each number that the field takes; with null where it is left empty. */
  onChange: (value: number | null) => void;
  /** Tell a number only when the field is left, or Enter is pressed. */
  late?: boolean;
}

/** A labelled number, typed with a comma or a point. What it does not take is said below it, and keeps a form from being sent. */
export function NumberField({ label, help, value, onChange, late = false, least, most, whole = false }: Props): ReactNode {
  const { t, i18n } = useTranslation();
  const [text, setText] = useState<string | null>(null);
  const bounds = { least, most, whole };
  const wrong = (typed: string) => {
    const found = typedNumber(typed, i18n.language);
    return typed.trim() === "" || (found !== null && fits(found, bounds)) ? "" : t(whole ? "common.wholeFromTo" : "common.numberFromTo", { least: formatNumber(least), most: formatNumber(most) });
  };
  const take = (typed: string) => {
    const found = typedNumber(typed, i18n.language);
    if (wrong(typed) === "" && found !== value) onChange(found);
  };
  const leave = () => {
    if (text === null) return;
    if (late) take(text);
    if (wrong(text) === "") setText(null);
  };
  return (
    <TextField
      label={label}
      help={help}
      inputMode={whole ? "numeric" : "decimal"}
      autoComplete="off"
      value={text ?? (value === null ? "" : asTyped(value, i18n.language))}
      error={wrong(text ?? "") || undefined}
      onChange={(event) => {
        event.target.setCustomValidity(wrong(event.target.value));
        setText(event.target.value);
        if (!late) take(event.target.value);
      }}
      onBlur={leave}
      onKeyDown={(event) => event.key === "Enter" && leave()}
    />
  );
}
