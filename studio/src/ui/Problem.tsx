import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { failureOf } from "./failure";
import { Failure } from "./Feedback";

/** The error of a query or of a change, where it has one: in the chosen language, and a way to try again. */
export function Problem({ query }: { query: { error: Error | null; refetch?: () => unknown } }): ReactNode {
  const { t } = useTranslation();
  const { error, refetch } = query;
  if (!error) return null;
  return <Failure error={failureOf(t, error)} again={refetch && (() => void refetch())} againLabel={t("common.again")} />;
}
