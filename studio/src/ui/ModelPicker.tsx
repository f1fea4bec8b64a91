import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { describeModel, useModels } from "../api/models";
import { type Run, useProject } from "../api/queries";
import { ButtonLink } from "./Button";
import { Empty, Skeleton } from "./Feedback";
import { Select } from "./Field";

/** What models are known by on the screens, by their runs. */
export function useModelName(project: string): (run: Run) => string {
  const name = useBuildName(project);
  return (run) => describeModel(run, name(run));
}

/** A build's own name, or its number. */
export function useBuildName(project: string): (run: Run) => string {
  const { t } = useTranslation();
  const names = useProject(project).data?.settings["names"] as Readonly<Record<string, string>> | undefined;
  return (run) => names?.[run.id] || (run.number ? t("common.buildNumber", { number: run.number }) : t("common.build"));
}

interface PickerProps {
  project: string;
  /** Draws the page for the chosen model, under the picker's control. */
  children: (model: Run, picker: ReactNode) => ReactNode;
}

/** The model that the URL names as `run`, else the newest one; without any, what to do first. */
export function WithModel({ project, children }: PickerProps): ReactNode {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const models = useModels(project);
  const modelName = useModelName(project);
  const ofFiles = (useProject(project).data?.kinds.length ?? 0) > 0;
  if (!models) return <Skeleton label={t("common.loading")} />;
  const chosen = models.find((run) => run.id === search.get("run")) ?? models[0];
  if (!chosen) {
    return (
      <Empty icon="build" title={t("common.noModel")} actions={<ButtonLink kind="primary" to={`/projects/${project}/build`}>{t("nav.build")}</ButtonLink>}>
        {t(ofFiles ? "common.noModelTodoFiles" : "common.noModelTodo")}
      </Empty>
    );
  }
  const picker = (
    <Select
      label={t("common.model")}
      value={chosen.id}
      options={models.map((run) => ({ value: run.id, label: modelName(run) }))}
      onChange={(event) => setSearch((before) => new URLSearchParams({ ...Object.fromEntries(before), run: event.target.value }))}
    />
  );
  return children(chosen, picker);
}
