import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { ApiError } from "../api/client";
import { useMay } from "../api/queries";
import { told } from "../i18n/serverTexts";
import { Button } from "../ui/Button";
import { Card } from "../ui/Card";
import { cx } from "../ui/cx";
import { Notice, Skeleton } from "../ui/Feedback";
import { TextField } from "../ui/Field";
import { FileButton, TABLES } from "../ui/FileDrop";
import layout from "../ui/Layout.module.css";
import { Problem } from "../ui/Problem";
import { fieldsOf, type ObjectSchema } from "../ui/schema";
import { Disclosure, SchemaForm } from "../ui/SchemaForm";
import { settingHelp, settingTitle } from "../ui/settings";
import { Main, PageTitle, Shell } from "../ui/Shell";
import { ChangeBox } from "./ChangeBox";
import { type Plan, type Solver, useChangeSettings, usePlan, useRemoveTable, useSendTable, useSolve, useSolvers } from "./queries";
import { Solution } from "./Solution";
import styles from "./Plans.module.css";

/** A plan: its tables and settings, its solution, and the changes that sentences make. */
export function PlanPage(): ReactNode {
  const { t } = useTranslation();
  const { plan = "" } = useParams();
  const found = usePlan(plan);
  const solver = useSolvers().data?.find((one) => one.name === found.data?.solver);
  return (
    <Shell crumb={found.data?.name}>
      <Main>
        <Problem query={found} />
        {found.isPending && <Skeleton label={t("common.loading")} />}
        {found.data && solver && <Loaded key={found.data.id} plan={found.data} solver={solver} />}
      </Main>
    </Shell>
  );
}

function Loaded({ plan, solver }: { plan: Plan; solver: Solver }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const solve = useSolve(plan.id);
  const faulty = plan.tables.find((table) => table.file && solve.error instanceof ApiError && solve.error.parts.file === table.file)?.setting;
  const ready = plan.tables.every((table) => table.file || !table.needed);
  const mistakes = settingMistakes(solve.error, solver.name);
  const wrong = Object.keys(mistakes).length > 0;
  const button = (
    <Button kind="primary" icon="bolt" disabled={!may || !ready} busy={solve.isPending} onClick={() => solve.mutate("keep")}>
      {t(plan.solved ? "plan.solveAgain" : "plan.solve")}
    </Button>
  );
  return (
    <>
      <PageTitle title={plan.name} about={told(solver.summary)} actions={button} />
      <div className={layout.page}>
        {solve.isPending && <Notice>{t("plan.busy")}</Notice>}
        {wrong ? <Notice tone="bad">{t("plan.settingsWrong")}</Notice> : (plan.solved ?? !faulty) && <Problem query={{ error: solve.error }} />}
        {plan.solved && (
          <Solution plan={plan.id} solved={plan.solved} forget={() => solve.mutate("forget")} busy={solve.isPending}>
            {solver.changes && <ChangeBox plan={plan} solver={solver} />}
          </Solution>
        )}
        <Tables plan={plan} solver={solver} error={solve.error} faulty={faulty} changed={() => solve.reset()} />
        <Settings plan={plan} solver={solver} mistakes={mistakes} changed={() => solve.reset()} />
      </div>
    </>
  );
}

/** The tables of a plan. `error`: why there is no plan, shown beside the table `faulty` that it is about. */
function Tables({ plan, solver, error, faulty, changed }: { plan: Plan; solver: Solver; error: Error | null; faulty: string | undefined; changed: () => void }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const send = useSendTable(plan.id);
  const remove = useRemoveTable(plan.id);
  return (
    <Card title={t("plan.tables")} note={t("plan.tablesAbout")}>
      <Problem query={{ error: send.error ?? remove.error }} />
      <ul className={cx(layout.lines, styles.given)}>
        {plan.tables.map((table) => (
          <li key={table.setting}>
            <div>
              <strong>{settingTitle(t, solver.name, table.setting)}</strong>
              <span className={layout.soft}>{settingHelp(table.help)}</span>
              <span>{table.file || t(table.needed ? "plan.needed" : "plan.optional")}</span>
              {table.setting === faulty && <Problem query={{ error }} />}
            </div>
            <div className={layout.row}>
              <FileButton small accept={TABLES} label={t(table.file ? "plan.replace" : "plan.send")} disabled={!may} busy={send.isPending && send.variables.setting === table.setting} onFile={(file) => send.mutate({ setting: table.setting, file }, { onSuccess: changed })} />
              {table.file && !table.needed && (
                <Button small disabled={!may} busy={remove.isPending && remove.variables === table.setting} onClick={() => remove.mutate(table.setting)}>
                  {t("plan.takeAway")}
                </Button>
              )}
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** What the server says of settings, by their names; empty for another error. */
function settingMistakes(error: Error | null, section: string): Record<string, string> {
  const listed = error instanceof ApiError ? (error.parts.todo ?? "").split("\n  - ").slice(1) : [];
  const own = listed.filter((one) => one.startsWith(`${section}.`)).map((one) => one.slice(section.length + 1));
  return Object.fromEntries(own.map((one) => [one.split(": ")[0] ?? "", told(one.split(": ").slice(1).join(": "))]));
}

/** The settings of a plan. `mistakes`: what is wrong with them, by name. */
function Settings({ plan, solver, mistakes, changed }: { plan: Plan; solver: Solver; mistakes: Readonly<Record<string, string>>; changed: () => void }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const change = useChangeSettings(plan.id);
  const [opened, setOpened] = useState<boolean | null>(null);
  const errors = { ...mistakes, ...settingMistakes(change.error, solver.name) };
  const wrong = Object.keys(errors).length > 0;
  const [settings, setSettings] = useState(plan.settings);
  const [seconds, setSeconds] = useState(String(plan.seconds));
  const schema = solver.settings as ObjectSchema;
  function set(name: string, value: unknown): void {
    setSettings((before) => Object.fromEntries(Object.entries({ ...before, [name]: value }).filter(([, one]) => one !== undefined)));
  }
  const reader = plan.readers.find((one) => one.chosen)?.project ?? null;
  return (
    <Card>
      <Disclosure title={t("plan.settings")} open={opened ?? wrong} onToggle={(open) => setOpened(open === wrong ? null : open)}>
        <div className={layout.stack}>
          {fieldsOf(schema).length > 0 && <SchemaForm section={solver.name} schema={schema} value={settings} errors={errors} onChange={set} />}
          <div className={layout.fields}>
            <TextField label={t("plan.seconds")} help={t("plan.secondsHelp")} inputMode="decimal" value={seconds} onChange={(event) => setSeconds(event.target.value)} />
          </div>
          {Object.keys(settingMistakes(change.error, solver.name)).length === 0 && <Problem query={{ error: change.error }} />}
          <div className={layout.row}>
            <Button disabled={!may} busy={change.isPending} onClick={() => change.mutate({ settings, seconds: Number(seconds.replace(",", ".")) || 10, reader }, { onSuccess: changed })}>
              {t("plan.keep")}
            </Button>
          </div>
        </div>
      </Disclosure>
    </Card>
  );
}
