import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useLocation } from "react-router";

import { isUnfinished, type Project, useRuns } from "../api/queries";
import { ButtonLink } from "../ui/Button";
import { Notice } from "../ui/Feedback";
import shellStyles from "../ui/Shell.module.css";
import { useMaterial } from "./files/queries";
import { pageOfKind } from "./pages";

/** One line on what to do next in a project of files, with the way there; nothing where its model can be tried. */
export function NextStep({ project }: { project: Project }): ReactNode {
  const { t } = useTranslation();
  const { pathname } = useLocation();
  const ofFiles = project.kinds.length > 0;
  const material = useMaterial(project.id, ofFiles).data;
  const building = useRuns(project.id).data?.some((run) => run.kind === "build" && isUnfinished(run));
  if (!ofFiles || !material) return null;
  const step = building ? "building" : material.next;
  if (step === "try") return null;
  const page = step === "fill" && material.fill ? pageOfKind(project, material.fill) : "build";
  const to = `/projects/${project.id}/${page}`;
  if (pathname === to) return null;
  return (
    <div className={shellStyles.note} aria-label={t("next.label")} role="group">
      <Notice tone="accent" action={<ButtonLink small to={to}>{t(`next.go.${step}`)}</ButtonLink>}>
        {step === "fill" ? t(`next.fill.${material.fill}`) : step === "building" ? t("next.building") : t(`next.${step}`)}
      </Notice>
    </div>
  );
}
