import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { isUnfinished, useData, useRuns } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Empty, Skeleton } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import styles from "./Build.module.css";
import { Compare } from "./Compare";
import { NewBuild } from "./NewBuild";
import { OpenRun } from "./OpenRun";
import { PastBuilds } from "./PastBuilds";

/** Build a model: choose a preset, watch the steps, look at the builds so far. */
export function BuildPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const data = useData(project);
  const runs = useRuns(project);
  if (data.error || runs.error) return <Problem query={data.error ? data : runs} />;
  if (!data.data || !runs.data) return <Skeleton label={t("common.loading")} />;
  const builds = runs.data.filter((run) => run.kind === "build");
  const empty = data.data.rows === data.data.unlabelled && (
    <Empty icon="data" title={t("build.noData")} actions={<ButtonLink kind="primary" to={`/projects/${project}/data`}>{t("nav.data")}</ButtonLink>}>
      {t("build.noDataTodo")}
    </Empty>
  );
  if (empty && builds.length === 0) return empty;
  const open = builds.filter(isUnfinished).reverse();
  const past = builds.filter((run) => !isUnfinished(run));
  return (
    <>
      <PageTitle title={t("nav.build")} about={!empty && t("build.about", { rows: formatNumber(data.data.rows - data.data.unlabelled) })} />
      <div className={styles.runs}>
        {open.map((run) => (
          <OpenRun key={run.id} project={project} run={run} />
        ))}
        {empty ? <Card>{empty}</Card> : <NewBuild project={project} runs={builds} />}
        <Compare project={project} runs={past} />
        {past.length > 0 && <PastBuilds project={project} runs={past} />}
      </div>
    </>
  );
}
