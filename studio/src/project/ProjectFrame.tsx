import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useProject } from "../api/queries";
import type { IconName } from "../ui/icons";
import { Problem } from "../ui/Problem";
import { RoleNote } from "../ui/RoleNote";
import { Main, Shell, SideFrame } from "../ui/Shell";

const PAGES: readonly { page: string; icon: IconName; within?: readonly string[] }[] = [
  { page: "data", icon: "data", within: ["label"] },
  { page: "build", icon: "build" },
  { page: "report", icon: "report" },
  { page: "try", icon: "chat" },
  { page: "run", icon: "run" },
  { page: "learn", icon: "learn" },
  { page: "costs", icon: "cost" },
  { page: "canvas", icon: "canvas" },
];

/** The frame of a project: its name in the bar, its pages at the side. */
export function ProjectFrame(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const found = useProject(project);
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
  const items = PAGES.map(({ page, icon, within = [] }) => ({ to: path(page), label: t(`nav.${page}`), icon, within: within.map(path) }));
  return (
    <Shell crumb={found.data?.name}>
      <SideFrame label={t("shell.menu")} items={items} note={<RoleNote />} />
    </Shell>
  );
}
