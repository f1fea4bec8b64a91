import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useModels } from "../../api/models";
import { useProject } from "../../api/queries";
import { Skeleton } from "../../ui/Feedback";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { CallCard } from "./CallCard";
import { CertificateCard } from "./CertificateCard";
import { DeskCard } from "./DeskCard";
import { useServing } from "./queries";
import styles from "./Run.module.css";
import { ServerCard } from "./ServerCard";
import { TrafficCard } from "./TrafficCard";

/** Put a model to work: start and stop its server, call it, certify it, and watch its traffic. */
export function RunPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const serving = useServing(project);
  const models = useModels(project);
  const { converses = false, kinds = [] } = useProject(project).data ?? {};
  const rows = kinds.length === 0; // a certificate is tested on rows, which a project of files does not have
  return (
    <>
      <PageTitle title={t("nav.run")} about={t(converses ? "run.aboutDesk" : "run.about")} />
      <Problem query={serving} />
      {(!serving.data || !models) && !serving.error && <Skeleton label={t("common.loading")} />}
      {serving.data && models && (
        <div className={styles.page}>
          <ServerCard project={project} serving={serving.data} models={models} />
          {converses && <DeskCard project={project} serving={serving.data} />}
          <TrafficCard project={project} serving={serving.data} />
          <CallCard project={project} serving={serving.data} />
          {rows && <CertificateCard project={project} model={serving.data.settings.model || (models[0]?.id ?? "")} models={models} />}
        </div>
      )}
    </>
  );
}
