import { formatNumber, formatShare, formatWhen } from "../i18n";
import { type Run, useRuns } from "./queries";

interface Headline {
  name?: string;
  value?: number;
  low?: number;
  high?: number;
}

interface Told {
  headline?: string;
  graded?: boolean;
  metrics?: Record<string, Headline>;
}

function told(run: Run): Told | undefined {
  return run.result?.["report"] as Told | undefined;
}

/** The headline metric of a build's report, where it has one. */
export function headline(run: Run): Headline | null {
  const report = told(run);
  const name = report?.headline;
  const metric = name === undefined ? undefined : report?.metrics?.[name];
  return metric ? { ...metric, ...(name === undefined ? {} : { name }) } : null;
}

/** Whether a build's answers are more or less good, such as texts, not right or wrong. */
export function isGraded(run: Run | undefined): boolean {
  return (run && told(run)?.graded) ?? false;
}

/** A value of a build's headline metric: right answers as a percentage, the grade of written texts as a number. */
export function formatHeadline(run: Run, value: number): string {
  return told(run)?.graded ? formatNumber(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 }) : formatShare(value, 1);
}

/** What a model is known by: its own name or number, how good it is, and when it was built. */
export function describeModel(run: Run, name: string, now = new Date()): string {
  const quality = headline(run)?.value;
  return [name, ...(quality === undefined ? [] : [formatHeadline(run, quality)]), formatWhen(new Date(run.queued * 1000), now)].join(" · ");
}

/** The models of a project, the newest first: its finished builds. Undefined while they are being fetched. */
export function useModels(project: string): readonly Run[] | undefined {
  return useRuns(project).data?.filter((run) => run.kind === "build" && run.state === "done");
}
