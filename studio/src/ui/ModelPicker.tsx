import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { headline, useModels } from "../api/models";
import type { Run } from "../api/queries";
import { formatShare, formatTime } from "../i18n";
import { ButtonLink } from "./Button";
import { Empty, Skeleton } from "./Feedback";
import { Select } from "./Field";

/** A model's name on the screens: when it was built, and how good it is. */
export function modelName(run: Run): string {
  const quality = headline(run)?.value;
  const when = formatTime(new Date(run.queued * 1000).toISOString());
  return quality === undefined ? when : `${when} · ${formatShare(quality, 1)}`;
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
  if (!models) return <Skeleton label={t("common.loading")} />;
  const chosen = models.find((run) => run.id === search.get("run")) ?? models[0];
  if (!chosen) {
    return (
      <Empty icon="build" title={t("common.noModel")} actions={<ButtonLink kind="primary" to={`/projects/${project}/build`}>{t("nav.build")}</ButtonLink>}>
        {t("common.noModelTodo")}
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
