import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { type OperatingPoint, pointFigures, useOperatingPoint } from "../../api/operatingPoint";
import { formatNumber } from "../../i18n";
import { Button } from "../../ui/Button";
import { Notice } from "../../ui/Feedback";
import { PointWords } from "../../ui/PointWords";
import { type Draft, LINE } from "./draft";
import { type Serving, useCertificate } from "./queries";
import styles from "./Run.module.css";

export type LocalMode = Serving["settings"]["local"];
export const MODES: readonly LocalMode[] = ["certified", "measured", "never"];
const LEVEL = 0.05;

/** Which answers the model gives itself: one of three modes, with the share that it will answer. */
export function Mode({ project, serving, draft, change, behind }: { project: string; serving: Serving; draft: Draft; change: (part: Partial<Draft>) => void; behind: boolean }): ReactNode {
  const { t } = useTranslation();
  const line = draft.model === LINE;
  const ofBuild = useOperatingPoint(project, line ? "" : draft.model).data;
  const certified = useCertificate(project, draft.model, LEVEL, LEVEL, null).data?.valid ?? false;
  const point = line ? (serving.settings.model === LINE ? serving.point : null) : (ofBuild ?? null);
  const modes = MODES.filter((mode) => mode !== "never" || behind);
  const mode = modes.includes(draft.local) ? draft.local : "certified";
  return (
    <div className={styles.until}>
      {behind && <ModeChoice mode={mode} modes={modes} onChange={(local) => change({ local })} />}
      <Notice tone={behind && mode === "certified" && !certified ? "warn" : "accent"}>
        <Here project={project} model={draft.model} point={point} mode={mode} alone={!behind} />
      </Notice>
      {draft.local_score != null && (
        <p className={styles.soft}>
          {t("run.ownScore", { score: formatNumber(draft.local_score, { maximumSignificantDigits: 3 }) })}{" "}
          <Button small onClick={() => change({ local_score: null })}>
            {t("run.dropScore")}
          </Button>
        </p>
      )}
    </div>
  );
}

/** One of the modes, each with what it means. */
export function ModeChoice({ mode, modes, onChange }: { mode: LocalMode; modes: readonly LocalMode[]; onChange: (mode: LocalMode) => void }): ReactNode {
  const { t } = useTranslation();
  return (
    <div className={styles.until} role="radiogroup" aria-label={t("run.modeTitle")}>
      <strong>{t("run.modeTitle")}</strong>
      {modes.map((one) => (
        <label key={one}>
          <input type="radio" name="mode" checked={mode === one} onChange={() => onChange(one)} />
          <span>
            {t(`run.modeName.${one}`)}
            <small>{t(`run.mode.${one}`)}</small>
          </span>
        </label>
      ))}
    </div>
  );
}

/** What share the model answers by itself in a mode, and how much of that is wrong. */
export function Here({ project, model, point, mode, alone }: { project: string; model: string; point: OperatingPoint | null; mode: Serving["settings"]["local"]; alone: boolean }): ReactNode {
  const { t } = useTranslation();
  const standing = useCertificate(project, model, LEVEL, LEVEL, null).data;
  const certified = point?.chosen_by === "certificate";
  if (mode === "never") return t("run.hereNever");
  if (alone) return point ? t("run.hereAlone", pointFigures(point)) : t("run.hereUnknown");
  if (standing && !standing.valid && standing.state !== "none") return t("run.hereBarred");
  if (mode === "certified" && !certified) return t("run.hereNothing");
  if (!point) return t("run.hereUnknown");
  return (
    <>
      <PointWords point={point} /> {!certified && t("run.notCertified")}
    </>
  );
}
