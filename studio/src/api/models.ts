import { type Run, useRuns } from "./queries";

interface Headline {
  name?: string;
  value?: number;
  low?: number;
  high?: number;
}

/** The headline metric of a build's report, where it has one. */
export function headline(run: Run): Headline | null {
  const report = run.result?.["report"] as { headline?: string; metrics?: Record<string, Headline> } | undefined;
  const name = report?.headline;
  const metric = name === undefined ? undefined : report?.metrics?.[name];
  return metric ? { ...metric, ...(name === undefined ? {} : { name }) } : null;
}

/** The models of a project, the newest first: its finished builds. Undefined while they are being fetched. */
export function useModels(project: string): readonly Run[] | undefined {
  return useRuns(project).data?.filter((run) => run.kind === "build" && run.state === "done");
}
