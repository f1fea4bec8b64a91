import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import type { Run } from "../api/queries";
import { runFailureOf } from "./failure";
import { Failure } from "./Feedback";

/** Why a run failed, where it did; `title` stands above it. */
export function RunFailure({ run, title }: { run: Run | undefined; title?: string }): ReactNode {
  const { t } = useTranslation();
  if (run?.state !== "failed") return null;
  const error = runFailureOf(t, run.error);
  return <Failure error={title === undefined ? error : { ...error, message: title, todo: [error.message, error.todo].filter(Boolean).join(" ") }} />;
}
