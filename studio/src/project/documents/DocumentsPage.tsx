import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useProject } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Card } from "../../ui/Card";
import { Notice, Skeleton } from "../../ui/Feedback";
import layout from "../../ui/Layout.module.css";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { DocumentList } from "./DocumentList";
import { DropDocuments } from "./DropDocuments";
import { QuestionList } from "./QuestionList";
import { useDocuments } from "./queries";
import { TestQuestion } from "./TestQuestion";

/** Documents that a project answers from: what was read of them, a question tested on them, and the questions that people ask. */
export function DocumentsPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const asks = useProject(project).data?.kinds.includes("questions") ?? false;
  const documents = useDocuments(project);
  const files = documents.data?.files ?? [];
  const unread = files.filter((file) => file.problem).length;
  return (
    <>
      <PageTitle title={t("nav.documents")} about={t("documents.about")} />
      <div className={layout.page}>
        <Problem query={documents} />
        {!documents.data && !documents.error && <Skeleton label={t("common.loading")} />}
        {documents.data && <DropDocuments project={project} beside={files.length > 0} />}
        {files.length > 0 && documents.data && (
          <>
            <Card title={t("documents.count", { count: files.length })} note={t("documents.inAll", { count: documents.data.passages, shown: formatNumber(documents.data.passages) })}>
              {unread > 0 && <Notice tone="warn">{t("documents.unread", { count: unread })}</Notice>}
              <DocumentList project={project} files={files} />
            </Card>
            {documents.data.passages > 0 && <TestQuestion project={project} />}
            {asks && <QuestionList project={project} ids={documents.data.ids} />}
          </>
        )}
      </div>
    </>
  );
}
