import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { isUnfinished, useData, useProject, useRuns } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Empty, Skeleton } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { useMaterial } from "../files/queries";
import { pageOfKind } from "../pages";
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
  const { kinds = [], converses = false } = useProject(project).data ?? {};
  const material = useMaterial(project, kinds.length > 0);
  if (data.error || runs.error) return <Problem query={data.error ? data : runs} />;
  if (!data.data || !runs.data) return <Skeleton label={t("common.loading")} />;
  const builds = runs.data.filter((run) => run.kind === "build");
  const ofFiles = kinds.length > 0;
  const missing = ofFiles ? material.data?.next === "fill" : data.data.rows === data.data.unlabelled;
  const page = ofFiles && material.data?.fill ? pageOfKind({ kinds }, material.data.fill) : "data";
  const empty = missing && (
    <Empty icon="data" title={t("build.noData")} actions={<ButtonLink kind="primary" to={`/projects/${project}/${page}`}>{t(`nav.${page}`)}</ButtonLink>}>
      {ofFiles && material.data?.fill ? t(`next.fill.${material.data.fill}`) : t("build.noDataTodo")}
    </Empty>
  );
  if (empty && builds.length === 0) return empty;
  const open = builds.filter(isUnfinished).reverse();
  const past = builds.filter((run) => !isUnfinished(run));
  return (
    <>
      <PageTitle title={t("nav.build")} about={!empty && t(converses ? "build.aboutDesk" : ofFiles ? "build.aboutFiles" : "build.about", { rows: formatNumber(data.data.rows - data.data.unlabelled) })} />
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
