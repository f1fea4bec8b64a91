import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import type { Run } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Skeleton } from "../../ui/Feedback";
import { WithModel } from "../../ui/ModelPicker";
import { Problem } from "../../ui/Problem";
import { candidateName } from "../../ui/settings";
import { PageTitle } from "../../ui/Shell";
import { AnsweringAlone } from "./AnsweringAlone";
import { Candidates } from "./Candidates";
import { Corrections, StaleNotice } from "./Corrections";
import { DeskMistakes } from "./DeskMistakes";
import { Downloads } from "./Downloads";
import { countsOutcomes, Headline, Metrics } from "./Headline";
import { Labels } from "./Labels";
import { Mistakes } from "./Mistakes";
import { Members } from "./Members";
import { useReport } from "./queries";
import styles from "./Report.module.css";
import { Samples } from "./Samples";
import { Parity, Scores } from "./Scores";
import { hasOneScore } from "./wording";

/** How good a model is, and what to do about it. */
export function ReportPage(): ReactNode {
  const { project = "" } = useParams();
  return <WithModel project={project}>{(model, picker) => <ModelReport key={model.id} project={project} model={model} picker={picker} />}</WithModel>;
}

function ModelReport({ project, model, picker }: { project: string; model: Run; picker: ReactNode }): ReactNode {
  const { t } = useTranslation();
  const found = useReport(project, model.id);
  const view = found.data;
  const data = view?.report.data;
  const desk = view?.report.headline === "outcome_right";
  const short = view && ((view.report.graded && view.report.calibration?.fitted === false) || hasOneScore(view));
  return (
    <>
      <PageTitle
        title={t("nav.report")}
        about={data && t(desk ? "report.aboutDesk" : "report.about", { train: formatNumber(data.train ?? 0), test: formatNumber(data.test ?? 0), student: candidateName(t, view.report.student.kind, view.report.student.method) })}
        actions={<div className={styles.picker}>{picker}</div>}
      />
      <Problem query={found} />
      {!view && !found.error && <Skeleton label={t("common.loading")} lines={9} />}
      {view && (
        <div className={styles.sections}>
          <StaleNotice project={project} model={model} />
          <Headline project={project} view={view} />
          <Members project={project} view={view} />
          <Corrections project={project} view={view} model={model} />
          {!countsOutcomes(view.report.headline) && <AnsweringAlone project={project} view={view} />}
          <Samples view={view} />
          {desk ? <DeskMistakes project={project} view={view} /> : <Mistakes project={project} view={view} />}
          <Labels project={project} view={view} />
          <div className={styles.two}>
            {short || countsOutcomes(view.report.headline) ? <Metrics view={view} /> : <Scores view={view} />}
            <div className={styles.stack}>
              {!short && !countsOutcomes(view.report.headline) && <Metrics view={view} />}
              <Parity view={view} />
              {short && !countsOutcomes(view.report.headline) && <Scores view={view} />}
            </div>
          </div>
          <Candidates project={project} view={view} />
          <Downloads project={project} view={view} />
        </div>
      )}
    </>
  );
}
