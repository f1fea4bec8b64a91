import type { TFunction } from "i18next";
import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../api/queries";
import { formatShare } from "../i18n";
import { told } from "../i18n/serverTexts";
import { Button } from "../ui/Button";
import { Card } from "../ui/Card";
import { Notice } from "../ui/Feedback";
import { Select, TextField } from "../ui/Field";
import layout from "../ui/Layout.module.css";
import { Problem } from "../ui/Problem";
import type { ObjectSchema } from "../ui/schema";
import { Disclosure, SchemaForm } from "../ui/SchemaForm";
import { type Plan, type Solver, useChangeSettings, useConfirm, usePropose } from "./queries";

/** By solver, the example of the first page whose model reads sentences about such a plan. */
const READERS: Readonly<Record<string, string>> = { stock: "stock-changes", routes: "events", trips: "wishes" };

/** From this score on, a person is not told to look twice. */
const SURE = 0.9;

/** The form of a change: what only a sentence has is left out, and each field says what to write. */
function formOf(t: TFunction, solver: Solver): ObjectSchema {
  const schema = solver.changes as ObjectSchema;
  const fields = Object.entries(schema.properties ?? {}).filter(([name]) => name !== "takes");
  return { ...schema, properties: Object.fromEntries(fields.map(([name, field]) => [name, { ...field, description: t(`plan.help.${solver.name}_${name}`, { defaultValue: field.description ?? "" }) }])) };
}

/** The model that reads sentences. */
function ChooseReader({ plan, example }: { plan: Plan; example: string | undefined }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const change = useChangeSettings(plan.id);
  const chosen = plan.readers.find((one) => one.chosen)?.project ?? "";
  const models = [{ value: "", label: t("plan.noReader") }, ...plan.readers.map((one) => ({ value: one.project, label: one.name }))];
  return (
    <>
      <div className={layout.fields}>
        <Select label={t("plan.reader")} help={example ? t("plan.readerHelp", { example: t(`start.example.${example}.title`) }) : undefined} value={chosen} options={models} disabled={!may || change.isPending} onChange={(event) => change.mutate({ settings: plan.settings, seconds: plan.seconds, reader: event.target.value || null })} />
      </div>
      <Problem query={change} />
    </>
  );
}

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
  const example = READERS[solver.name];
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
          plan.readers.length === 0 && <Notice>{example ? t("plan.buildReader", { example: t(`start.example.${example}.title`) }) : t("plan.buildAnyReader")}</Notice>
        )}
        <Disclosure title={t("plan.fillIn")} open={open} onToggle={setOpen}>
          <div className={layout.stack}>
            <SchemaForm empty="" section={`${solver.name}.change`} schema={formOf(t, solver)} named={(choice) => t(`plan.choice.${choice}`, { defaultValue: choice })} value={filled} onChange={(name, value) => setFilled((before) => Object.fromEntries(Object.entries({ ...before, [name]: value }).filter(([, one]) => one !== undefined)))} />
            <div className={layout.row}>
              <Button disabled={!may || Object.keys(filled).length === 0} busy={propose.isPending} onClick={() => propose.mutate({ sentence: "", change: filled })}>
                {t("plan.show")}
              </Button>
            </div>
          </div>
        </Disclosure>
        <Problem query={{ error: propose.error ?? confirm.error }} />
        {proposal && (
          <Notice tone={proposal.score < SURE || proposal.unread.length > 0 ? "warn" : "accent"}>
            <div className={layout.close}>
              <strong>{told(proposal.words)}</strong>
              {propose.variables.sentence && <span>{t(proposal.score < SURE ? "plan.unsure" : "plan.sure", { share: formatShare(proposal.score) })}</span>}
              {proposal.unread.length > 0 && <span>{t("plan.unread", { words: proposal.unread.join(", ") })}</span>}
              {proposal.rest && <span>{t("plan.rest", { words: proposal.rest })}</span>}
              <div className={layout.row}>
                <Button kind="primary" disabled={!may} busy={confirm.isPending} onClick={() => confirm.mutate({ change: proposal.change, sentence: propose.variables.sentence }, { onSuccess: done })}>
                  {t("plan.confirm")}
                </Button>
                <Button onClick={() => propose.reset()}>{t("common.cancel")}</Button>
              </div>
              {confirm.isPending && <span role="status">{t("plan.busy")}</span>}
            </div>
          </Notice>
        )}
        {plan.readers.length > 0 && <ChooseReader plan={plan} example={example} />}
      </div>
    </Card>
  );
}
