import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { told } from "../../i18n/serverTexts";
import { Card } from "../../ui/Card";
import { Select, Switch, Ticks } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { allowedKinds, type PolicyPart, PRIVACY, type Privacy, textsAt, withAllowed } from "./form";
import layout from "../../ui/Layout.module.css";
import styles from "./Policy.module.css";
import { useChooseFinder, usePolicy } from "./queries";

/** What becomes of customers' personal data: what is replaced, where, and which model finds it. */
export function PrivacyCard({ project, form, set, policy, may }: PolicyPart & { project: string }): ReactNode {
  const { t } = useTranslation();
  const choose = useChooseFinder(project);
  const saved = usePolicy(project).data ?? policy;
  const { privacy } = form;
  const put = (change: Partial<Privacy>) => set({ ...form, privacy: { ...privacy, ...change } });
  const fault = textsAt(policy.mistakes, "privacy");
  const finders = [{ value: "", label: t("policy.privacy.ownFinder") }, ...[...saved.finders, ...(saved.finder && !saved.finder.model ? [{ ...saved.finder, model: GONE }] : [])].map((one) => ({ value: one.model, label: one.name }))];
  return (
    <Card title={t("policy.privacy.title")} note={t("policy.privacy.about")}>
      <div className={layout.stack}>
        <div className={layout.fields}>
          <Select label={t("policy.privacy.policy")} help={t(`policy.privacy.help.${privacy.policy}`)} disabled={!may} value={privacy.policy} options={PRIVACY.map((one) => ({ value: one, label: t(`policy.privacy.${one}`) }))} onChange={(event) => put({ policy: event.target.value as Privacy["policy"] })} />
          {privacy.policy !== "off" && privacy.policy !== "card" && (
            <Select label={t("policy.privacy.finder")} help={t(saved.finders.length > 0 ? "policy.privacy.finderHelp" : "policy.privacy.noFinders")} disabled={!may || choose.isPending} value={saved.finder ? saved.finder.model || GONE : ""} options={finders} onChange={(event) => event.target.value !== GONE && choose.mutate(event.target.value)} />
          )}
        </div>
        <Problem query={{ error: choose.error }} />
        {privacy.policy !== "off" && (
          <div className={layout.close}>
            <Switch label={t("policy.privacy.stored")} disabled={!may} checked={privacy.stored} onChange={(event) => put({ stored: event.target.checked })} />
            <Switch label={t("policy.privacy.handed_over")} disabled={!may || privacy.stored} checked={privacy.stored || privacy.handed_over} onChange={(event) => put({ handed_over: event.target.checked })} />
            <Switch label={t("policy.privacy.fallback")} disabled={!may} checked={privacy.fallback} onChange={(event) => put({ fallback: event.target.checked })} />
            <p className={layout.soft}>{t(privacy.stored ? "policy.privacy.storedHelp" : "policy.privacy.notStoredHelp")}</p>
          </div>
        )}
        {(privacy.policy === "mask" || privacy.policy === "health") && (
          <fieldset disabled={!may} className={layout.plain}>
            <Ticks label={t("policy.privacy.allowed")} options={saved.kinds} named={(kind) => t(`policy.privacy.kind.${kind}`, { defaultValue: kind })} chosen={allowedKinds(privacy.kinds)} onChange={(kinds) => put({ kinds: withAllowed(privacy.kinds, kinds) })} />
          </fieldset>
        )}
        {fault && <p className={styles.fault}>{told(fault)}</p>}
      </div>
    </Card>
  );
}

/** Stands for a member that was copied from a model which is not there any more. */
const GONE = "\u0000gone";
