import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Link } from "react-router";

import styles from "./Button.module.css";
import { cx } from "./cx";
import { Icon, type IconName } from "./icons";

interface Look {
  kind?: "plain" | "primary" | "quiet" | "danger";
  small?: boolean;
  icon?: IconName | undefined;
}

function classes({ kind = "plain", small }: Look, iconOnly = false): string {
  return cx(styles.button, kind !== "plain" && styles[kind], small && styles.small, iconOnly && styles.icon);
}

type ButtonProps = Look & ButtonHTMLAttributes<HTMLButtonElement> & { busy?: boolean };

/** A button. While `busy` it cannot be pressed and shows that work goes on. */
export function Button({ kind, small, icon, busy = false, children, disabled, ...rest }: ButtonProps): ReactNode {
  return (
    <button type="button" {...rest} disabled={disabled === true || busy} aria-busy={busy || undefined} className={cx(classes({ kind: kind ?? "plain", small: small ?? false }), rest.className)}>
      {busy ? <span className={styles.spinner} /> : icon && <Icon name={icon} size={16} />}
      {children}
    </button>
  );
}

/** A button that shows an icon alone; `label` is its name for screen readers and its tooltip. */
export function IconButton({ icon, label, kind = "quiet", small, ...rest }: Omit<ButtonProps, "busy" | "children"> & { icon: IconName; label: string }): ReactNode {
  return (
    <button type="button" {...rest} aria-label={label} title={label} className={cx(classes({ kind, small: small ?? false }, true), rest.className)}>
      <Icon name={icon} />
    </button>
  );
}

/** A link within the Studio that looks like a button. */
export function ButtonLink({ to, kind, small, icon, children }: Look & { to: string; children: ReactNode }): ReactNode {
  return (
    <Link to={to} className={classes({ kind: kind ?? "plain", small: small ?? false })}>
      {icon && <Icon name={icon} size={16} />}
      {children}
    </Link>
  );
}
