import type { ReactNode } from "react";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";

import { formatNumber, formatShare, memberTitle } from "../../i18n";
import { Card } from "../../ui/Card";
import type { ReportView } from "./queries";
import styles from "./Report.module.css";

const SHOWN = 6;

/** In the order in which a desk asks them. */
const ORDER = ["intents", "answer", "act", "recommend"];
function inOrder(one: { role: string }, other: { role: string }): number {
  const place = ({ role }: { role: string }) => (ORDER.indexOf(role.split("-")[0] ?? "") + ORDER.length + 1) % (ORDER.length + 1);
  return place(one) - place(other);
}

/** A member's simple model, which its report names in brackets. */
function baselineName(t: TFunction, told: string): string {
  const kind = /\(([\w-]+)\)$/.exec(told)?.[1] ?? told;
  return t([`report.baseline.${kind}`, `student.${kind}`], { defaultValue: told });
}

/** The models that a model consists of, each with what its own report measures; nothing for a model of its own. */
export function Members({ project, view }: { project: string; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const files = new Set(view.files.map((file) => file.name));
  if (view.members.length === 0) return null;
  return (
    <Card title={t("report.members")} note={t("report.membersNote")}>
      <div className={styles.stack}>
        {[...view.members].sort(inOrder).map((member) => (
          <section key={member.role} aria-label={member.role}>
            <h3>{memberTitle(member.role)}</h3>
            <dl className={styles.figures}>
              {Object.entries(member.metrics)
                .slice(0, SHOWN)
                .map(([name, metric]) => (
                  <div key={name}>
                    <dt>{t(`metric.${name}`, { defaultValue: member.names[name] ?? name })}</dt>
                    <dd>{formatShare(metric.value, 1)}</dd>
                    <dd className={styles.below}>
                      {formatShare(metric.low)} – {formatShare(metric.high)}, n = {formatNumber(metric.n)}
                    </dd>
                  </div>
                ))}
            </dl>
            <p className={styles.beside}>
              {member.baseline !== null && member.baseline_value !== null && `${t("report.memberBaseline", { name: baselineName(t, member.baseline), value: formatShare(member.baseline_value, 1) })} `}
              {files.has(member.file) && (
                <a href={`/api/v1/projects/${project}/models/${view.id}/files/${encodeURIComponent(member.file)}`} download>
                  {t("report.memberReport")}
                </a>
              )}
            </p>
          </section>
        ))}
      </div>
    </Card>
  );
}
