import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { cx } from "../../ui/cx";
import { Badge, ProgressBar } from "../../ui/Feedback";
import { Icon, type IconName } from "../../ui/icons";
import { candidateName } from "../../ui/settings";
import styles from "./Canvas.module.css";
import { LANES } from "./graph";
import { givenSettings, givenWords, mistakesAt, stepIcon, stepTitle } from "./names";
import type { NodeFact } from "./onNodes";
import type { Kind, Step } from "./queries";
import type { Tried } from "./Tried";
import type { RecipeDraft } from "./useDraft";

interface StepListProps {
  draft: RecipeDraft;
  kinds: readonly Kind[];
  selected: string | null;
  facts: ReadonlyMap<string, NodeFact>;
  tried: readonly Tried[];
  onSelect: (id: string | null) => void;
  panel: ReactNode;
}

/** The steps one below another, for a narrow screen, with what the drawing shows on them; the open one shows its panel. */
export function StepList({ draft, kinds, selected, facts, tried, onSelect, panel }: StepListProps): ReactNode {
  const { t } = useTranslation();
  const stageOf = (node: Step) => kinds.find((kind) => kind.name === node.kind)?.stage ?? "service";
  const row = (id: string, content: ReactNode, icon: IconName, mistakes = 0) => {
    const open = id === selected;
    return (
      <li key={id}>
        <button type="button" className={styles.row} aria-expanded={open} onClick={() => onSelect(open ? null : id)}>
          <Icon name={icon} />
          <span>{content}</span>
          {mistakes > 0 && <Badge tone="bad">{t("canvas.mistakes", { count: mistakes })}</Badge>}
          <Icon name={open ? "down" : "right"} size={16} />
        </button>
        {open && panel}
      </li>
    );
  };
  const step = (node: Step) => {
    const fact = facts.get(node.kind);
    const content = (
      <>
        <strong>{stepTitle(t, node)}</strong>
        <small>{givenSettings(node).filter((one) => one.name !== "task").map((one) => givenWords(t, one)).join(", ") || t("canvas.asUsual")}</small>
        {fact && <small className={cx(styles.fact, fact.tone && styles[fact.tone])}>{[fact.text, fact.more].filter(Boolean).join(" · ")}</small>}
        {fact?.share !== undefined && <ProgressBar share={fact.share} label={fact.text} />}
      </>
    );
    return row(node.id, content, stepIcon(node.kind), mistakesAt(draft.mistakes, node.id).length);
  };
  const model = (one: Tried) =>
    row(
      one.id,
      <>
        <strong>{candidateName(t, one.student, one.row?.method)}</strong>
        <small className={styles.fact}>{one.row ? one.figures : t("canvas.tried.planned")}</small>
      </>,
      one.chosen ? "check" : "box",
    );
  return (
    <div className={styles.stack}>
      {LANES.filter((stage) => stage !== "tried" || tried.length > 0).map((stage) => (
        <section key={stage}>
          <h2 className={styles.lane}>{t(`canvas.stage.${stage}`)}</h2>
          <ol className={styles.steps}>{stage === "tried" ? tried.map(model) : draft.drawing.nodes.filter((node) => stageOf(node) === stage).map(step)}</ol>
        </section>
      ))}
    </div>
  );
}
