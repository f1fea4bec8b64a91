import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { PageTitle } from "../../ui/Shell";
import { JobsCard } from "./JobsCard";
import styles from "./Learn.module.css";
import { LineCard } from "./LineCard";
import { ReviewCard } from "./ReviewCard";

/** Learn from use: look through what was passed on, let the model learn, find jobs that come again and again. */
export function LearnPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  return (
    <>
      <PageTitle title={t("nav.learn")} about={t("learn.about")} />
      <div className={styles.page}>
        <ReviewCard project={project} />
        <LineCard project={project} />
        <JobsCard project={project} />
      </div>
    </>
  );
}
