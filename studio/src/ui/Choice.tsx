import { type ReactNode, useId } from "react";

import styles from "./Choice.module.css";

/** A choice of one of a few, all in sight. */
export function Choice<V extends string>({ label, value, options, onChange }: { label: string; value: V; options: readonly { value: V; label: ReactNode }[]; onChange: (value: V) => void }): ReactNode {
  const name = useId();
  return (
    <div role="radiogroup" aria-label={label} className={styles.group}>
      {options.map((option) => (
        <label key={option.value}>
          <input type="radio" name={name} value={option.value} checked={option.value === value} onChange={() => onChange(option.value)} />
          {option.label}
        </label>
      ))}
    </div>
  );
}
