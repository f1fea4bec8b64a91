import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { Badge } from "../../ui/Feedback";
import { Icon } from "../../ui/icons";
import styles from "./Canvas.module.css";
import { STAGES } from "./graph";
import { givenSettings, givenWords, mistakesAt, stepIcon, stepTitle } from "./names";
import type { Kind, Step } from "./queries";
import type { RecipeDraft } from "./useDraft";

/** The steps one below another, for a narrow screen; the open one shows its panel. */
export function StepList({ draft, kinds, selected, onSelect, panel }: { draft: RecipeDraft; kinds: readonly Kind[]; selected: string | null; onSelect: (id: string | null) => void; panel: ReactNode }): ReactNode {
  const { t } = useTranslation();
  const stageOf = (node: Step) => kinds.find((kind) => kind.name === node.kind)?.stage ?? "service";
  return (
    <div className={styles.stack}>
      {STAGES.map((stage) => (
        <section key={stage}>
          <h2 className={styles.lane}>{t(`canvas.stage.${stage}`)}</h2>
          <ol className={styles.steps}>
            {draft.drawing.nodes
              .filter((node) => stageOf(node) === stage)
              .map((node) => {
                const wrong = mistakesAt(draft.mistakes, node.id).length;
                const open = node.id === selected;
                return (
                  <li key={node.id}>
                    <button type="button" className={styles.row} aria-expanded={open} onClick={() => onSelect(open ? null : node.id)}>
                      <Icon name={stepIcon(node.kind)} />
                      <span>
                        <strong>{stepTitle(t, node)}</strong>
                        <small>{givenSettings(node).filter((one) => one.name !== "task").map((one) => givenWords(t, one)).join(", ") || t("canvas.asUsual")}</small>
                      </span>
                      {wrong > 0 && <Badge tone="bad">{t("canvas.mistakes", { count: wrong })}</Badge>}
                      <Icon name={open ? "down" : "right"} size={16} />
                    </button>
                    {open && panel}
                  </li>
                );
              })}
          </ol>
        </section>
      ))}
    </div>
  );
}
