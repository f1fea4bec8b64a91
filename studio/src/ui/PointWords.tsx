import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { type OperatingPoint, pointFigures } from "../api/operatingPoint";

/** A model's operating point in words: how much it answers by itself, how much of that is wrong, and where the figures come from. */
export function PointWords({ point, graded = false }: { point: OperatingPoint; graded?: boolean }): ReactNode {
  const { t } = useTranslation();
  const figures = pointFigures(point);
  return (
    <>
      {t(graded ? "common.pointGraded" : "common.point", figures)} {t(`common.pointRows.${point.measured_on}`, figures)} {t(`common.pointBy.${point.chosen_by}`)}
    </>
  );
}
