import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { Failure } from "./Feedback";
import styles from "./Shell.module.css";

const LOOK_MS = 4_000;

/** Whether the server answers. The question carries no cookie, so that it keeps no idle session alive. */
async function answers(): Promise<boolean> {
  try {
    await fetch("/api/v1/session", { credentials: "omit", cache: "no-store" });
    return true;
  } catch {
    return false;
  }
}

/** Whether the server is gone; looks at once, and again every few seconds. `onBack` is called when it answers again. */
export function useServerGone(onBack: () => void): boolean {
  const [gone, setGone] = useState(false);
  useEffect(() => {
    let ended = false;
    let known = false;
    const look = () => {
      if (document.hidden) return;
      void answers().then((here) => {
        if (ended || here !== known) return;
        known = !here;
        setGone(known);
        if (!known) onBack();
      });
    };
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => {
      ended = true;
      clearInterval(timer);
    };
  }, [onBack]);
  return gone;
}

/** Says so while the server does not answer; when it is back, everything on the page is fetched again. */
export function Offline(): ReactNode {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const refresh = useCallback(() => void queries.invalidateQueries(), [queries]);
  if (!useServerGone(refresh)) return null;
  return (
    <div className={styles.offline}>
      <Failure error={{ message: t("common.offline"), todo: t("common.offlineWait") }} />
    </div>
  );
}
