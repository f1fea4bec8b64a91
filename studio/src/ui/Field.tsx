import { type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes, useId } from "react";

import { cx } from "./cx";
import styles from "./Field.module.css";
import { Icon } from "./icons";

interface Around {
  label: ReactNode;
  help?: ReactNode;
  error?: ReactNode;
}

function useDescribed({ help, error }: Omit<Around, "label">) {
  const id = useId();
  const described = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ");
  return { id, attributes: { id, "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined, className: cx(styles.control) } };
}

/** What stands below a control: its help, and what is wrong with it. */
function Below({ id, help, error }: Omit<Around, "label"> & { id: string }): ReactNode {
  return (
    <>
      {help && (
        <p id={`${id}-help`} className={styles.help}>
          {help}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className={styles.error} role="alert">
          {error}
        </p>
      )}
    </>
  );
}

function Frame({ id, label, help, error, children }: Around & { id: string; children: ReactNode }): ReactNode {
  return (
    <div className={styles.field}>
      <label htmlFor={id} className={styles.label}>
        {label}
      </label>
      {children}
      <Below {...{ id, help, error }} />
    </div>
  );
}

/** A labelled line of text, number or password. */
export function TextField({ label, help, error, ...rest }: Around & InputHTMLAttributes<HTMLInputElement>): ReactNode {
  const { id, attributes } = useDescribed({ help, error });
  return (
    <Frame {...{ id, label, help, error }}>
      <input {...rest} {...attributes} />
    </Frame>
  );
}

/** A labelled text of several lines. */
export function TextArea({ label, help, error, ...rest }: Around & TextareaHTMLAttributes<HTMLTextAreaElement>): ReactNode {
  const { id, attributes } = useDescribed({ help, error });
  return (
    <Frame {...{ id, label, help, error }}>
      <textarea {...rest} {...attributes} />
    </Frame>
  );
}

/** A labelled choice of one. The browser's own list, which every keyboard and phone knows. */
export function Select({ label, help, error, options, ...rest }: Around & SelectHTMLAttributes<HTMLSelectElement> & { options: readonly { value: string; label: string }[] }): ReactNode {
  const { id, attributes } = useDescribed({ help, error });
  return (
    <Frame {...{ id, label, help, error }}>
      <select {...rest} {...attributes}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </Frame>
  );
}

/** More options than this stand in columns. */
const MANY = 8;

/** A labelled choice of several, in the order of the options. */
export function Ticks({ label, help, error, options, named = (option) => option, chosen, onChange }: Around & { options: readonly string[]; named?: (option: string) => string; chosen: readonly string[]; onChange: (chosen: string[]) => void }): ReactNode {
  const { id, attributes } = useDescribed({ help, error });
  return (
    <fieldset className={styles.field} aria-describedby={attributes["aria-describedby"]}>
      <legend className={styles.label}>{label}</legend>
      <div className={cx(styles.ticks, options.length > MANY && styles.many)}>
        {options.map((option) => (
          <label key={option}>
            <input type="checkbox" checked={chosen.includes(option)} onChange={(event) => onChange(options.filter((one) => (one === option ? event.target.checked : chosen.includes(one))))} />
            {named(option)}
          </label>
        ))}
      </div>
      <Below {...{ id, help, error }} />
    </fieldset>
  );
}

/** On or off. */
export function Switch({ label, ...rest }: { label: ReactNode } & Omit<InputHTMLAttributes<HTMLInputElement>, "type">): ReactNode {
  return (
    <label className={styles.switch}>
      <input type="checkbox" role="switch" {...rest} />
      {label}
    </label>
  );
}

/** A number chosen by dragging; `shown` is its value in words. */
export function Range({ label, help, shown, ...rest }: { label: ReactNode; help?: ReactNode; shown: string } & InputHTMLAttributes<HTMLInputElement>): ReactNode {
  const { id, attributes } = useDescribed({ help });
  return (
    <Frame {...{ id, help }} label={<>{label}: <span className="numbers">{shown}</span></>}>
      <input type="range" aria-valuetext={shown} {...rest} {...attributes} className={styles.range} />
    </Frame>
  );
}

/** A search box. Its label is its placeholder. */
export function Search({ label, ...rest }: { label: string } & InputHTMLAttributes<HTMLInputElement>): ReactNode {
  return (
    <div className={styles.search}>
      <Icon name="search" size={16} />
      <input type="search" aria-label={label} placeholder={label} {...rest} className={styles.control} />
    </div>
  );
}
