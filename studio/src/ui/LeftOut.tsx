import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber } from "../i18n";
import { told } from "../i18n/serverTexts";
import { Notice } from "./Feedback";

/** The server's own words for answers that are left out, and the page's. */
const REASONS = [
  ["its answer was masked", "masked"],
  ["a label that is too rare", "rare"],
  ["its label stands once", "rare"],
  ["the answer is none", "unreadable"],
  ["held out, and another row", "twice"],
  ["held out, but learnt from", "known"],
  ["held out, but of a time to come", "later"],
  ["held out, but too old", "old"],
  ["from before a revocation", "old"],
  ["held out to choose, but there only", "volunteered"],
] as const;

/** Answers of captured requests that are left out, and why. */
export function LeftOut({ reasons }: { reasons: Readonly<Record<string, number>> }): ReactNode {
  const { t } = useTranslation();
  const found = Object.entries(reasons);
  if (found.length === 0) return null;
  return (
    <Notice>
      {found.map(([reason, number]) => {
        const known = REASONS.find(([begins]) => reason.startsWith(begins));
        return <p key={reason}>{known ? t(`traffic.unusable.${known[1]}`, { count: number, rows: formatNumber(number) }) : `${formatNumber(number)}: ${told(reason)}`}</p>;
      })}
    </Notice>
  );
}
