import type { ReactNode } from "react";

import { Button } from "./Button";
import { cx } from "./cx";
import type { ShownError } from "./failure";
import styles from "./Feedback.module.css";
import { Icon, type IconName } from "./icons";

export type Tone = "plain" | "accent" | "good" | "warn" | "bad";

/** A short word on the state of something. */
export function Badge({ tone = "plain", icon, children }: { tone?: Tone; icon?: IconName; children: ReactNode }): ReactNode {
  return (
    <span className={cx(styles.badge, tone !== "plain" && styles[tone])}>
      {icon && <Icon name={icon} size={12} />}
      {children}
    </span>
  );
}

const SIGNS: Record<Tone, IconName> = { plain: "info", accent: "info", good: "check", warn: "warning", bad: "warning" };

/** A message within a page. One of tone `bad` is read out at once. */
export function Notice({ tone = "plain", action, children }: { tone?: Tone; action?: ReactNode; children: ReactNode }): ReactNode {
  return (
    <div className={cx(styles.notice, tone !== "plain" && styles[tone])} role={tone === "bad" ? "alert" : "note"}>
      <Icon name={SIGNS[tone]} />
      <div className={styles.body}>{children}</div>
      {action}
    </div>
  );
}

/** What stands in place of a list with nothing in it: why, and what to do. */
export function Empty({ icon, title, children, actions }: { icon: IconName; title: string; children?: ReactNode; actions?: ReactNode }): ReactNode {
  return (
    <div className={styles.empty}>
      <span className={styles.mark}>
        <Icon name={icon} size={24} />
      </span>
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {actions && <div className={styles.actions}>{actions}</div>}
    </div>
  );
}

/** Lines in the place of a text or list that is being fetched. */
export function Skeleton({ lines = 5, label }: { lines?: number; label: string }): ReactNode {
  return (
    <div className={styles.skeleton} role="status">
      {Array.from({ length: lines }, (_, number) => (
        <span key={number} aria-hidden="true" />
      ))}
      <b className="visually-hidden">{label}</b>
    </div>
  );
}

/** An error: what happened, and what to do; `again` tries once more. */
export function Failure({ error, again, againLabel }: { error: ShownError; again?: (() => void) | undefined; againLabel?: string }): ReactNode {
  return (
    <Notice tone="bad" action={again && <Button small onClick={again}>{againLabel}</Button>}>
      <p>{error.message}</p>
      {error.todo && <p>{error.todo}</p>}
      <FailureDetails error={error} />
    </Notice>
  );
}

/** What is to be corrected, one by one, and the server's own English where there are no other words. */
export function FailureDetails({ error }: { error: ShownError }): ReactNode {
  return (
    <>
      {error.list && error.list.length > 0 && (
        <ul className={styles.list}>
          {error.list.map((item, place) => (
            <li key={place}>{item}</li>
          ))}
        </ul>
      )}
      {error.exact && (
        <p lang="en" className={styles.exact}>
          {error.exact}
        </p>
      )}
    </>
  );
}

/** How far something has come: from 0 to 1, or unknown. */
export function ProgressBar({ share, label }: { share: number | null; label: string }): ReactNode {
  const value = share === null ? {} : { "aria-valuenow": Math.round(share * 100) };
  return (
    <div className={styles.track} role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} {...value}>
      <div className={cx(styles.fill, share === null && styles.unknown)} style={share === null ? undefined : { width: `${share * 100}%` }} />
    </div>
  );
}
