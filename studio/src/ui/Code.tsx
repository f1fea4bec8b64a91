import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button } from "./Button";
import styles from "./Code.module.css";

const TOLD_MS = 2_000;

/** A button that copies a text, and says that it did. */
export function CopyButton({ text, label }: { text: string; label?: string }): ReactNode {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), TOLD_MS);
    return () => window.clearTimeout(timer);
  }, [copied]);
  return (
    <Button small icon={copied ? "check" : "copy"} onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}>
      <span aria-live="polite">{copied ? t("common.copied") : (label ?? t("common.copy"))}</span>
    </Button>
  );
}

/** Lines of code or of a log, that scroll sideways by themselves; with `copy` they can be copied. */
export function CodeBlock({ code, label, copy = false }: { code: string; label: string; copy?: boolean }): ReactNode {
  return (
    <div className={styles.block}>
      {copy && (
        <div className={styles.copy}>
          <CopyButton text={code} />
        </div>
      )}
      {/* A region that scrolls takes the focus, so that arrow keys scroll it. */}
      <pre className={styles.code} tabIndex={0} role="region" aria-label={label}>
        {code}
      </pre>
    </div>
  );
}
