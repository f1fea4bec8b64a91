import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatShare, languageName } from "../../i18n";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Range, Ticks } from "../../ui/Field";
import { NumberField } from "../../ui/NumberField";
import { LANGUAGES, type PolicyPart } from "./form";
import layout from "../../ui/Layout.module.css";

const LIMITS = ["least_intent", "least_act", "least_recommend"] as const;

/** Languages, how sure the desk must be, and when it passes on to a person. */
export function LimitsCard({ form, set, may }: PolicyPart): ReactNode {
  const { t } = useTranslation();
  const known = LANGUAGES.filter((one) => form.languages.includes(one));
  return (
    <Card title={t("policy.limits")} note={t("policy.limitsAbout")}>
      <fieldset disabled={!may} className={cx(layout.plain, layout.stack)}>
        <Ticks label={t("policy.languages")} help={t("policy.languagesHelp")} options={LANGUAGES} named={languageName} chosen={known} onChange={(languages) => languages.length > 0 && set({ ...form, languages: [...form.languages.filter((one) => languages.includes(one)), ...languages.filter((one) => !form.languages.includes(one))] })} />
        <div className={layout.fields}>
          {LIMITS.map((name) => (
            <Range key={name} label={t(`policy.${name}`)} help={form[name] > 0 ? t(`policy.${name}Help`, { share: formatShare(form[name]) }) : t("policy.noLimit")} shown={formatShare(form[name])} min={0} max={1} step={0.05} value={form[name]} onChange={(event) => set({ ...form, [name]: Number(event.target.value) })} />
          ))}
        </div>
        <div className={layout.fields}>
          <NumberField label={t("policy.handOver")} help={t("policy.handOverHelp")} least={0} most={20} whole value={form.hand_over.after_unanswered} onChange={(value) => value !== null && set({ ...form, hand_over: { ...form.hand_over, after_unanswered: value } })} />
        </div>
      </fieldset>
    </Card>
  );
}
