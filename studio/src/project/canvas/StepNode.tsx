import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import { memo, type MouseEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { cx } from "../../ui/cx";
import { told } from "../../i18n/serverTexts";
import { ProgressBar } from "../../ui/Feedback";
import { Icon } from "../../ui/icons";
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

export interface StepData extends Record<string, unknown> {
  step: Step;
  mistakes: readonly Mistake[];
  sides: readonly Side[];
  fact: NodeFact | undefined;
  onPort: (step: Step, side: Side, x: number, y: number) => void;
}

export type StepNodeType = Node<StepData, "step">;

/** A step on the canvas: what it is, what was given, what is wrong with it, and its ports. */
export const StepNode = memo(function StepNode({ data, selected }: NodeProps<StepNodeType>): ReactNode {
  const { t } = useTranslation();
  const { step, mistakes, sides, fact, onPort } = data;
  const given = givenSettings(step).filter((one) => one.name !== "task");
  const first = given[0];
  return (
    <div className={cx(styles.step, selected && styles.selected, mistakes.length > 0 && styles.wrong)}>
      <strong>
        <Icon name={stepIcon(step.kind)} size={16} />
        {stepTitle(t, step)}
      </strong>
      {mistakes[0] ? (
        <span className={styles.mistake} title={mistakes.map((one) => told(one.text)).join("\n")}>
          {told(mistakes[0].text)}
        </span>
      ) : (
        <span className={styles.given}>{first ? `${givenWords(t, first)}${given.length > 1 ? ` +${given.length - 1}` : ""}` : t("canvas.asUsual")}</span>
      )}
      {fact && (
        <span className={styles.fact} title={fact.text}>
          {fact.text}
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
              onPort(step, side, event.clientX, event.clientY);
            }}
          />
        );
      })}
    </div>
  );
});
