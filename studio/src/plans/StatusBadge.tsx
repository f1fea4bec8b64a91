import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { Badge, type Tone } from "../ui/Feedback";
import type { Solved } from "./queries";

const TONES: Record<Solved["status"], Tone> = { solved: "good", partly: "warn", infeasible: "bad" };

/** Whether a plan was solved: wholly, in part, or not. */
export function StatusBadge({ status }: { status: Solved["status"] }): ReactNode {
  const { t } = useTranslation();
  return (
    <Badge tone={TONES[status]} icon={status === "solved" ? "check" : "warning"}>
      {t(`plan.status.${status}`)}
    </Badge>
  );
}
