import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import { memo, type MouseEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { cx } from "../../ui/cx";
import { told } from "../../i18n/serverTexts";
import { ProgressBar } from "../../ui/Feedback";
import { Icon, type IconName } from "../../ui/icons";
import styles from "./Canvas.module.css";
import { givenSettings, givenWords, portColour, portTitle, stepIcon, stepTitle } from "./names";
import type { NodeFact } from "./onNodes";
import type { Mistake, Port, Step } from "./queries";

export interface Side {
  port: Port;
  side: "input" | "output";
  position: Position;
  /** Where along its edge, from 0 to 1. */
  at: number;
}

/** What a step does at the press of its button: a call, or a page to open. */
export interface NodeAction {
  icon: IconName;
  label: string;
  disabled?: boolean;
  href?: string;
  onPress?: () => void;
}

export interface StepData extends Record<string, unknown> {
  step: Step;
  mistakes: readonly Mistake[];
  sides: readonly Side[];
  fact: NodeFact | undefined;
  action: NodeAction | undefined;
  onPort: (step: Step, side: Side, x: number, y: number) => void;
}

export type StepNodeType = Node<StepData, "step">;

/** A step on the canvas: what it is, what was given, what is wrong with it, and its ports. */
export const StepNode = memo(function StepNode({ data, selected }: NodeProps<StepNodeType>): ReactNode {
  const { t } = useTranslation();
  const { step, mistakes, sides, fact, action, onPort } = data;
  const given = givenSettings(step).filter((one) => one.name !== "task");
  const first = given[0];
  return (
    <div className={cx(styles.step, selected && styles.selected, mistakes.length > 0 && styles.wrong)}>
      <strong>
        <Icon name={stepIcon(step.kind)} size={16} />
        <span>{stepTitle(t, step)}</span>
        {action && <ActionButton action={action} />}
      </strong>
      {mistakes[0] ? (
        <span className={styles.mistake} title={mistakes.map((one) => told(one.text)).join("\n")}>
          {told(mistakes[0].text)}
        </span>
      ) : (
        !fact?.more && <span className={styles.given}>{first ? `${givenWords(t, first)}${given.length > 1 ? ` +${given.length - 1}` : ""}` : t("canvas.asUsual")}</span>
      )}
      {fact && (
        <span className={cx(styles.fact, fact.tone && styles[fact.tone])} title={fact.text}>
          {fact.text}
        </span>
      )}
      {fact?.more && (
        <span className={styles.fact} title={fact.more}>
          {fact.more}
        </span>
      )}
      {fact?.share !== undefined && <ProgressBar share={fact.share} label={fact.text} />}
      {sides.map((side) => {
        const along = { [side.position === Position.Left || side.position === Position.Right ? "top" : "left"]: `${side.at * 100}%` };
        return (
          <Handle
            key={`${side.side}-${side.port.name}`}
            id={side.port.name}
            type={side.side === "input" ? "target" : "source"}
            position={side.position}
            className={styles.port}
            style={{ ...along, background: portColour(side.port.type) }}
            title={portTitle(t, side.port.type)}
            onClick={(event: MouseEvent) => {
              event.stopPropagation();
              if (side.port.name !== "tried") onPort(step, side, event.clientX, event.clientY);
            }}
          />
        );
      })}
    </div>
  );
});

/** A small button on a step. A press on it neither opens nor drags the step. */
function ActionButton({ action }: { action: NodeAction }): ReactNode {
  const shared = { className: cx("nodrag", "nopan", styles.action), title: action.label, "aria-label": action.label };
  if (action.href) {
    return (
      <a {...shared} href={action.href} target="_blank" rel="noreferrer" onClick={(event) => event.stopPropagation()}>
        <Icon name={action.icon} size={14} />
      </a>
    );
  }
  return (
    <button
      {...shared}
      type="button"
      disabled={action.disabled}
      onClick={(event) => {
        event.stopPropagation();
        action.onPress?.();
      }}
    >
      <Icon name={action.icon} size={14} />
    </button>
  );
}
