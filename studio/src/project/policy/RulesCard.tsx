import { type ReactNode, useId, useState } from "react";
import { useTranslation } from "react-i18next";

import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { TextField } from "../../ui/Field";
import { Icon } from "../../ui/icons";
import { moved, partsOf, type PolicyPart, rulesOf, sayable, stepsToChoose, textsAt, withRules } from "./form";
import styles from "./Policy.module.css";

const MOST_STEPS = 5;

/** A step in words. */
export function useStepWords(): (step: string) => string {
  const { t } = useTranslation();
  return (step) => {
    const { verb, what } = partsOf(step);
    return t(`policy.step.${verb}${what ? "What" : ""}`, { what, defaultValue: step });
  };
}

/** Which intent leads to which steps. The first rule that fits counts, and of its steps the first that can answer. */
export function RulesCard({ form, set, policy, may }: PolicyPart): ReactNode {
  const { t } = useTranslation();
  const rules = rulesOf(form);
  const [dragged, setDragged] = useState<number | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const list = useId();
  const free = policy.intents.filter((intent) => !(intent in form.intents));
  const change = (place: number, steps: string[]) => set(withRules(form, rules.map((rule, number) => (number === place ? { ...rule, steps } : rule))));
  const rename = (place: number, pattern: string) => set(withRules(form, rules.map((rule, number) => (number === place ? { ...rule, pattern } : rule))));
  const move = (from: number, to: number) => set(withRules(form, moved(rules, from, to)));
  const choices = stepsToChoose(policy.tools, sayable(form.texts, policy.texts));
  return (
    <Card title={t("policy.rules")} note={t("policy.rulesAbout")}>
      <datalist id={list}>
        {policy.intents.map((intent) => (
          <option key={intent} value={intent} />
        ))}
      </datalist>
      <div className={styles.rules} role="list" aria-label={t("policy.rules")}>
        {rules.map((rule, place) => {
          const fault = textsAt(policy.mistakes, `intents.${rule.pattern}`);
          const remark = textsAt(policy.remarks, `intents.${rule.pattern}`);
          return (
            // Dragging is a further way to what the arrows beside it do.
            // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
            <div
              key={place}
              role="listitem"
              className={cx(styles.rule, dragged === place && styles.dragged, over === place && dragged !== place && styles.over)}
              onDragOver={(event) => {
                if (dragged === null) return;
                event.preventDefault();
                setOver(place);
              }}
              onDrop={(event) => {
                event.preventDefault();
                if (dragged !== null && dragged !== place) move(dragged, place);
                setDragged(null);
                setOver(null);
              }}
            >
              <span
                className={styles.grip}
                aria-hidden="true"
                title={t("policy.drag")}
                draggable={may}
                onDragStart={(event) => {
                  event.dataTransfer.effectAllowed = "move";
                  event.dataTransfer.setData("text/plain", rule.pattern);
                  setDragged(place);
                }}
                onDragEnd={() => {
                  setDragged(null);
                  setOver(null);
                }}
              >
                <Icon name="more" size={16} />
              </span>
              <Pattern label={t("policy.intent", { number: place + 1 })} list={list} value={rule.pattern} taken={rules.filter((_, number) => number !== place).map((one) => one.pattern)} disabled={!may} onChange={(pattern) => rename(place, pattern)} />
              <Steps steps={rule.steps} choices={choices} disabled={!may} label={rule.pattern} onChange={(steps) => change(place, steps)} />
              <div className={styles.moves}>
                <IconButton icon="up" small label={t("policy.up", { name: rule.pattern })} disabled={!may || place === 0} onClick={() => move(place, place - 1)} />
                <IconButton icon="down" small label={t("policy.down", { name: rule.pattern })} disabled={!may || place === rules.length - 1} onClick={() => move(place, place + 1)} />
                <IconButton icon="trash" small label={t("policy.remove", { name: rule.pattern })} disabled={!may} onClick={() => set(withRules(form, rules.filter((_, number) => number !== place)))} />
              </div>
              {fault && (
                <p className={styles.fault} role="alert">
                  {told(fault)}
                </p>
              )}
              {remark && <p className={styles.remark}>{told(remark)}</p>}
            </div>
          );
        })}
        <div role="listitem" className={styles.rule}>
          <span className={styles.grip} aria-hidden="true" />
          <strong>{t("policy.unknown")}</strong>
          <Steps steps={form.unknown} choices={choices} disabled={!may} label={t("policy.unknown")} onChange={(unknown) => set({ ...form, unknown })} />
          <span />
          {textsAt(policy.mistakes, "unknown") && <p className={styles.fault}>{told(textsAt(policy.mistakes, "unknown"))}</p>}
          {textsAt(policy.remarks, "unknown") && <p className={styles.remark}>{told(textsAt(policy.remarks, "unknown"))}</p>}
        </div>
      </div>
      <div>
        <Button small icon="plus" disabled={!may} onClick={() => set(withRules(form, [{ pattern: free[0] ?? newName(rules.map((rule) => rule.pattern)), steps: ["answer"] }, ...rules]))}>
          {t("policy.addRule")}
        </Button>
      </div>
    </Card>
  );
}

function newName(taken: readonly string[]): string {
  let number = 1;
  while (taken.includes(`new/${number}`)) number += 1;
  return `new/${number}`;
}

/** A rule's intent or pattern. It is taken when the field is left, so that half a name is no rule. */
function Pattern({ label, list, value, taken, disabled, onChange }: { label: string; list: string; value: string; taken: readonly string[]; disabled: boolean; onChange: (pattern: string) => void }): ReactNode {
  const { t } = useTranslation();
  const [typed, setTyped] = useState<string | null>(null);
  const wrong = typed !== null && (typed.trim() === "" || taken.includes(typed.trim()));
  const take = () => {
    if (typed !== null && !wrong && typed.trim() !== value) onChange(typed.trim());
    setTyped(null);
  };
  return (
    <TextField
      label={<span className="visually-hidden">{label}</span>}
      list={list}
      maxLength={200}
      disabled={disabled}
      error={wrong ? t("policy.taken") : undefined}
      value={typed ?? value}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={take}
      onKeyDown={(event) => event.key === "Enter" && take()}
    />
  );
}

function Steps({ steps, choices, disabled, label, onChange }: { steps: readonly string[]; choices: readonly string[]; disabled: boolean; label: string; onChange: (steps: string[]) => void }): ReactNode {
  const { t } = useTranslation();
  const words = useStepWords();
  return (
    <div className={styles.steps} role="group" aria-label={t("policy.stepsOf", { name: label })}>
      {steps.map((step, place) => (
        <span key={`${place} ${step}`} className={styles.steps}>
          {place > 0 && <span className={styles.then}>{t("policy.else")}</span>}
          <span className={styles.step}>
            <b>{words(step)}</b>
            {place > 0 && <IconButton icon="left" small label={t("policy.earlier", { step: words(step) })} disabled={disabled} onClick={() => onChange(moved(steps, place, place - 1))} />}
            {steps.length > 1 && <IconButton icon="close" small label={t("policy.removeStep", { step: words(step) })} disabled={disabled} onClick={() => onChange(steps.filter((_, number) => number !== place))} />}
          </span>
        </span>
      ))}
      {steps.length < MOST_STEPS && (
        <select className={styles.add} aria-label={t("policy.addStep", { name: label })} value="" disabled={disabled} onChange={(event) => event.target.value && onChange([...steps, event.target.value])}>
          <option value="">{t("policy.then")}</option>
          {choices
            .filter((step) => !steps.includes(step))
            .map((step) => (
              <option key={step} value={step}>
                {words(step)}
              </option>
            ))}
        </select>
      )}
    </div>
  );
}
