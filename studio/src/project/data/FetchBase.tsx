import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { api, body } from "../../api/client";
import { useMay, useRuns, useStartRun } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Button } from "../../ui/Button";
import { runFailureOf } from "../../ui/failure";
import { Failure } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";

const UNFINISHED = ["queued", "running", "stopping"];

/** A button that fetches pretrained weights, and says how much that is; nothing where they are on this machine. The look is made again afterwards. */
export function FetchBase({ project, base }: { project: string; base: string }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const runs = useRuns(project);
  const start = useStartRun(project);
  const last = runs.data?.find((run) => run.kind === "fetch" && run.request["base"] === base);
  const going = last !== undefined && UNFINISHED.includes(last.state);
  const bases = useQuery({ queryKey: ["bases", last?.state], queryFn: () => body(api.GET("/api/v1/bases")) });
  const found = bases.data?.find((one) => one.name === base);
  if (bases.error) return <Problem query={bases} />;
  if (!found || found.here) return null;
  return (
    <>
      <Button small kind="primary" icon="download" disabled={!may} busy={going || start.isPending} onClick={() => start.mutate({ kind: "fetch", request: { base } })}>
        {found.title}: {t("look.fetch", { megabytes: formatNumber(found.megabytes) })}
      </Button>
      {last?.state === "failed" && <Failure error={runFailureOf(t, last.error)} again={() => start.mutate({ kind: "fetch", request: { base } })} againLabel={t("common.again")} />}
      <Problem query={{ error: start.error }} />
    </>
  );
}
