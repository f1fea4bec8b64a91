import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../api/queries";
import { formatShare } from "../i18n";
import { told } from "../i18n/serverTexts";
import { Button } from "../ui/Button";
import { Card } from "../ui/Card";
import { Notice } from "../ui/Feedback";
import { TextField } from "../ui/Field";
import layout from "../ui/Layout.module.css";
import { Problem } from "../ui/Problem";
import type { ObjectSchema } from "../ui/schema";
import { Disclosure, SchemaForm } from "../ui/SchemaForm";
import { type Plan, type Solver, useConfirm, usePropose } from "./queries";

/** A change of a plan, said as a sentence or filled in; it counts after a person confirmed it. */
export function ChangeBox({ plan, solver }: { plan: Plan; solver: Solver }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const propose = usePropose(plan.id);
  const confirm = useConfirm(plan.id);
  const [sentence, setSentence] = useState("");
  const [filled, setFilled] = useState<Record<string, unknown>>({});
  const [open, setOpen] = useState(false);
  const reads = plan.readers.some((one) => one.chosen);
  const proposal = propose.data;
  function ask(event: SubmitEvent): void {
    event.preventDefault();
    confirm.reset();
    propose.mutate({ sentence, change: null });
  }
  function done(): void {
    setSentence(proposal?.rest ?? "");
    propose.reset();
    setFilled({});
  }
  return (
    <Card title={t("plan.change")} note={t("plan.changeAbout")}>
      <div className={layout.stack}>
        {reads ? (
          <form onSubmit={ask} className={layout.close}>
            <TextField label={t("plan.sentence")} placeholder={solver.examples[0] ?? ""} value={sentence} maxLength={2000} onChange={(event) => setSentence(event.target.value)} />
            <div className={layout.row}>
              <Button type="submit" disabled={!may || !sentence.trim()} busy={propose.isPending}>
                {t("plan.understand")}
              </Button>
            </div>
          </form>
        ) : (
          <Notice>{t(plan.readers.length > 0 ? "plan.chooseReader" : "plan.buildReader")}</Notice>
        )}
        <Disclosure title={t("plan.fillIn")} open={open} onToggle={setOpen}>
          <div className={layout.stack}>
            <SchemaForm empty="" section={`${solver.name}.change`} schema={solver.changes as ObjectSchema} value={filled} onChange={(name, value) => setFilled((before) => Object.fromEntries(Object.entries({ ...before, [name]: value }).filter(([, one]) => one !== undefined)))} />
            <div className={layout.row}>
              <Button disabled={!may || Object.keys(filled).length === 0} busy={propose.isPending} onClick={() => propose.mutate({ sentence: "", change: filled })}>
                {t("plan.show")}
              </Button>
            </div>
          </div>
        </Disclosure>
        <Problem query={{ error: propose.error ?? confirm.error }} />
        {proposal && (
          <Notice tone={proposal.score < 0.9 || proposal.unread.length > 0 ? "warn" : "accent"}>
            <div className={layout.close}>
              <strong>{told(proposal.words)}</strong>
              {propose.variables.sentence && <span>{t("plan.sure", { share: formatShare(proposal.score) })}</span>}
              {proposal.unread.length > 0 && <span>{t("plan.unread", { words: proposal.unread.join(", ") })}</span>}
              {proposal.rest && <span>{t("plan.rest", { words: proposal.rest })}</span>}
              <div className={layout.row}>
                <Button kind="primary" disabled={!may} busy={confirm.isPending} onClick={() => confirm.mutate({ change: proposal.change, sentence: propose.variables.sentence }, { onSuccess: done })}>
                  {t("plan.confirm")}
                </Button>
                <Button onClick={() => propose.reset()}>{t("common.cancel")}</Button>
              </div>
            </div>
          </Notice>
        )}
      </div>
    </Card>
  );
}
