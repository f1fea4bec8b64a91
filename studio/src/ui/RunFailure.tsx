import type { ReactNode } from "react";

import type { Run } from "../api/queries";
import { Failure } from "./Feedback";

/** Why a run failed, in the server's own words, where it did; `title` stands above them. */
export function RunFailure({ run, title }: { run: Run | undefined; title?: string }): ReactNode {
  if (run?.state !== "failed") return null;
  const text = (name: string) => (typeof run.error?.[name] === "string" ? run.error[name] : undefined);
  const message = text("message") ?? "";
  return title === undefined ? <Failure error={{ message, todo: text("todo") }} /> : <Failure error={{ message: title, todo: [message, text("todo")].filter(Boolean).join(" ") }} />;
}
