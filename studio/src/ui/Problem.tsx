import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { ApiError } from "../api/client";
import { Failure } from "./Feedback";

/** The error of a query or of a change, where it has one: the server's own words, and a way to try again. */
export function Problem({ query }: { query: { error: Error | null; refetch?: () => unknown } }): ReactNode {
  const { t } = useTranslation();
  const { error, refetch } = query;
  if (!error) return null;
  const told = error instanceof ApiError && error.status > 0 ? { message: error.message, todo: error.todo } : { message: t("common.offline"), todo: t("common.offlineTodo") };
  return <Failure error={told} again={refetch && (() => void refetch())} againLabel={t("common.again")} />;
}
