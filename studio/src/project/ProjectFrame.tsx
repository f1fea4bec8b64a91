import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, useParams } from "react-router";

import { useProject } from "../api/queries";
import { formatNumber } from "../i18n";
import { Problem } from "../ui/Problem";
import { RoleNote } from "../ui/RoleNote";
import { Main, Shell, SideFrame } from "../ui/Shell";
import { useWaiting } from "./conversations/queries";
import { NextStep } from "./NextStep";
import { pagesOf } from "./pages";

/** The frame of a project: its name in the bar, its pages at the side. */
export function ProjectFrame(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const found = useProject(project);
  const waiting = useWaiting(project, found.data?.converses ?? false).data ?? 0;
  if (found.error) {
    return (
      <Shell>
        <Main>
          <Problem query={found} />
        </Main>
      </Shell>
    );
  }
  const path = (page: string) => `/projects/${project}/${page}`;
  const pages = found.data ? pagesOf(found.data) : [];
  const items = pages.map(({ page, icon, within = [] }) => ({
    to: path(page),
    label: t(`nav.${page}`),
    icon,
    within: within.map(path),
    waiting: page === "conversations" && waiting > 0 ? { count: formatNumber(waiting), label: t("talks.waitingFor", { number: formatNumber(waiting) }) } : undefined,
  }));
  const note = (
    <>
      <RoleNote />
      {found.data && <NextStep project={found.data} />}
    </>
  );
  return (
    <Shell crumb={found.data?.name}>
      <SideFrame label={t("shell.menu")} items={items} note={note} />
    </Shell>
  );
}

/** The first page of a project. */
export function FirstPage(): ReactNode {
  const { project = "" } = useParams();
  const found = useProject(project);
  const first = found.data && pagesOf(found.data)[0];
  return first ? <Navigate to={first.page} replace /> : null;
}
