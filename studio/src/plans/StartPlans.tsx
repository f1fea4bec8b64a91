import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";

import { useMay } from "../api/queries";
import { formatTime } from "../i18n";
import { told } from "../i18n/serverTexts";
import start from "../pages/Start.module.css";
import { Button, IconButton } from "../ui/Button";
import { Card } from "../ui/Card";
import { Badge } from "../ui/Feedback";
import { Switch, TextField } from "../ui/Field";
import { Icon, planIcon } from "../ui/icons";
import { Dialog, Menu, useToast } from "../ui/Overlay";
import { Problem } from "../ui/Problem";
import { type PlanCard, type Solver, useDeletePlan, useNewPlan, usePlans, useSolvers } from "./queries";
import { StatusBadge } from "./StatusBadge";

/** Problems that a library plans from tables. */
export function PlanJobs(): ReactNode {
  const { t } = useTranslation();
  const solvers = useSolvers();
  const may = useMay("edit");
  const [chosen, setChosen] = useState<Solver | null>(null);
  if (solvers.error) return <Problem query={solvers} />;
  if (!solvers.data || solvers.data.length === 0) return null;
  return (
    <section className={start.plans} aria-labelledby="plans">
      <div className={start.section}>
        <div>
          <h3 id="plans">{t("plan.start")}</h3>
          <p className={start.facts}>{t("plan.startAbout")}</p>
        </div>
      </div>
      <div className={start.examples}>
        {solvers.data.map((solver) => (
          <button key={solver.name} type="button" className={start.example} disabled={!may} onClick={() => setChosen(solver)}>
            <Icon name={planIcon(solver.name)} size={20} />
            <strong>{told(solver.title)}</strong>
            <span>{told(solver.summary)}</span>
          </button>
        ))}
      </div>
      {chosen && <NewPlan solver={chosen} onClose={() => setChosen(null)} />}
    </section>
  );
}

/** The plans made so far; nothing where there are none. */
export function PlanList(): ReactNode {
  const { t } = useTranslation();
  const plans = usePlans();
  const may = useMay("edit");
  const [doomed, setDoomed] = useState<PlanCard | null>(null);
  if (!plans.data || plans.data.length === 0) return <Problem query={plans} />;
  return (
    <section className={start.plans} aria-labelledby="own-plans">
      <div className={start.section}>
        <h2 id="own-plans">{t("plan.plans")}</h2>
      </div>
      <Card flush>
        <ul className={start.list}>
          {plans.data.map((plan) => (
            <li key={plan.id}>
              <Icon name={planIcon(plan.solver)} />
              <Link to={`/plans/${plan.id}`}>{plan.name}</Link>
              <Badge>{told(plan.title)}</Badge>
              {plan.status && <StatusBadge status={plan.status} />}
              <span className={start.facts}>{t("start.changed", { when: formatTime(new Date(plan.changed * 1000).toISOString()) })}</span>
              {may && <Menu trigger={<IconButton icon="more" small label={t("common.more")} />} items={[{ label: t("common.delete"), icon: "trash", danger: true, onSelect: () => setDoomed(plan) }]} />}
            </li>
          ))}
        </ul>
        {doomed && <DeletePlan plan={doomed} onClose={() => setDoomed(null)} />}
      </Card>
    </section>
  );
}

function NewPlan({ solver, onClose }: { solver: Solver; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const go = useNavigate();
  const create = useNewPlan();
  const [name, setName] = useState("");
  const [sample, setSample] = useState(solver.sample);
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    create.mutate({ solver: solver.name, name: name.trim() || told(solver.title), sample }, { onSuccess: (plan) => void go(`/plans/${plan.id}`) });
  }
  return (
    <Dialog open onClose={onClose} title={told(solver.title)} about={told(solver.summary)}>
      <form onSubmit={submit} id="new-plan" className={start.form}>
        <TextField label={t("plan.name")} placeholder={told(solver.title)} value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />
        {solver.sample && <Switch label={t("plan.sample")} checked={sample} onChange={(event) => setSample(event.target.checked)} />}
      </form>
      <Problem query={create} />
      <Button kind="primary" type="submit" form="new-plan" busy={create.isPending}>
        {t("plan.create")}
      </Button>
    </Dialog>
  );
}

function DeletePlan({ plan, onClose }: { plan: PlanCard; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const remove = useDeletePlan();
  const toast = useToast();
  function confirmed(): void {
    remove.mutate(plan.id, {
      onSuccess: () => {
        toast({ text: t("start.deleted", { name: plan.name }) });
        onClose();
      },
    });
  }
  const foot = (
    <>
      <Button onClick={onClose}>{t("common.cancel")}</Button>
      <Button kind="danger" busy={remove.isPending} onClick={confirmed}>
        {t("common.delete")}
      </Button>
    </>
  );
  return (
    <Dialog open onClose={onClose} title={t("start.deleteTitle", { name: plan.name })} about={t("plan.deleteAbout")} foot={foot}>
      <Problem query={remove} />
    </Dialog>
  );
}
