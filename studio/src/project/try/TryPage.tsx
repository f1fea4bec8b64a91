import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";

import { type Run, useProject } from "../../api/queries";
import { Choice } from "../../ui/Choice";
import { Skeleton } from "../../ui/Feedback";
import { WithModel } from "../../ui/ModelPicker";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { AnswerList } from "./AnswerList";
import { OneText } from "./OneText";
import { useAnswering } from "./queries";
import { SideBySide } from "./SideBySide";
import styles from "./Try.module.css";
import { TryFiles } from "./TryFiles";

/** Try a model: one text, two models side by side, or a whole list. */
export function TryPage(): ReactNode {
  const { project = "" } = useParams();
  return <WithModel project={project}>{(model, picker) => <Tried key={model.id} project={project} model={model} picker={picker} />}</WithModel>;
}

const MODES = ["one", "compare", "list"] as const;
type Mode = (typeof MODES)[number];

function Tried({ project, model, picker }: { project: string; model: Run; picker: ReactNode }): ReactNode {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const answering = useAnswering(project, model.id);
  const held = useProject(project).data;
  const mode = MODES.find((known) => known === search.get("mode")) ?? "one";
  const choose = (next: Mode) => setSearch((before) => new URLSearchParams({ ...Object.fromEntries(before), mode: next }), { replace: true });
  if (held && held.kinds.length > 0) {
    return (
      <>
        <PageTitle title={t("nav.try")} about={t(held.kinds.includes("repository") ? "tryCode.about" : "tryFiles.about")} actions={<div className={styles.picker}>{picker}</div>} />
        <Problem query={answering} />
        {answering.isPending && <Skeleton label={t("common.loading")} />}
        {answering.data && <TryFiles project={held} model={model.id} facts={answering.data} />}
      </>
    );
  }
  return (
    <>
      <PageTitle title={t("nav.try")} about={t(answering.data?.shape === "text" ? "try.aboutWrite" : "try.about")} actions={<div className={styles.picker}>{picker}</div>} />
      <div className={styles.modes}>
        <Choice label={t("try.mode")} value={mode} options={MODES.map((value) => ({ value, label: t(`try.modes.${value}`) }))} onChange={choose} />
      </div>
      <Problem query={answering} />
      {answering.isPending && <Skeleton label={t("common.loading")} />}
      {answering.data && mode === "one" && <OneText project={project} model={model.id} facts={answering.data} />}
      {answering.data && mode === "compare" && <SideBySide project={project} model={model.id} facts={answering.data} />}
      {mode === "list" && <AnswerList project={project} model={model.id} />}
    </>
  );
}
