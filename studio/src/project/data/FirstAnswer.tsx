import { type ReactNode, useState } from "react";
import { Trans, useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { RunStory } from "../../api/events";
import { headline, useModels } from "../../api/models";
import { useData, useMay, useProject } from "../../api/queries";
import { formatMoney, formatNumber, formatShare } from "../../i18n";
import { pointFigures } from "../../api/operatingPoint";
import { told } from "../../i18n/serverTexts";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { runFailureOf } from "../../ui/failure";
import { Badge, Failure, Notice, ProgressBar } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { NumberField } from "../../ui/NumberField";
import { PointWords } from "../../ui/PointWords";
import { Problem } from "../../ui/Problem";
import { type Assumptions, type FirstAnswer, isLooking, type Look, useFindings, useLook, useLookAgain, useRemember, useSaving } from "./queries";
import { FetchBase } from "./FetchBase";
import { madeFrom } from "../build/runs";
import styles from "./FirstAnswer.module.css";
import { rowsMissing } from "./rowsMissing";

const PREFERRED = 0.03;
/** A laxer limit on wrong answers is no promise to begin with. */
const WORTH_TELLING = 0.1;
const REQUESTS = 10_000; // as the server assumes
const MOST_REQUESTS = 1e9;
const MOST_MACHINE = 1e4;

/** The first answer from the data: how much of it a model would take over, what that saves, and what stands in the way. */
export function FirstAnswerCard({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const { look, story } = useLook(project);
  const again = useLookAgain(project);
  const may = useMay("build");
  const found = look.data;
  if (look.error) return <Problem query={look} />;
  if (!found) return null;
  const looking = isLooking(found);
  const lookButton = (
    <Button small icon="search" disabled={!may} busy={again.isPending} onClick={() => again.mutate()}>
      {t(found.version === null ? "look.look" : "look.again")}
    </Button>
  );
  const stale = !looking && found.version !== null && found.version !== found.head;
  return (
    <Card className={styles.card}>
      <Problem query={{ error: again.error }} />
      {looking && <Looking story={story} first={found.answer === null} />}
      {!looking && found.run?.state === "failed" && <Failure error={runFailureOf(t, found.run.error)} again={() => again.mutate()} againLabel={t("common.again")} />}
      {!looking && found.version === null && found.run?.state !== "failed" && (
        <div className={styles.row}>
          <p>{t("look.none")}</p>
          {lookButton}
        </div>
      )}
      {found.answer !== null && <Told project={project} look={found} answer={found.answer} looking={looking} />}
      {found.version !== null && found.answer === null && !looking && <NoAnswer project={project} look={found} />}
      {found.by === "words" && !looking && <FetchBase project={project} base="minilm" />}
      {stale && (
        <Notice tone="accent" action={lookButton}>
          {t("look.stale")}
        </Notice>
      )}
    </Card>
  );
}

function Looking({ story, first }: { story: RunStory; first: boolean }): ReactNode {
  const { t } = useTranslation();
  const step = story.steps.at(-1);
  const share = step?.total ? Math.min(1, step.done / step.total) : null;
  const said = step ? t(`look.step.${step.name.replaceAll(" ", "_")}`, { defaultValue: t("look.looking") }) : t("look.waiting");
  return (
    <div className={styles.looking} role="status">
      {first && <h2>{t("look.looking")}</h2>}
      <ProgressBar share={share} label={said} />
      <p>
        {said}
        {step?.total ? ` · ${formatNumber(step.done)} / ${formatNumber(step.total)}` : ""}
      </p>
    </div>
  );
}

function NoAnswer({ project, look }: { project: string; look: Look }): ReactNode {
  const { t } = useTranslation();
  return (
    <div className={styles.row}>
      <div>
        <h2>{t(`look.whyNot.${look.why_not}.title`)}</h2>
        <p>{t(`look.whyNot.${look.why_not}.about`, { rows: formatNumber(look.rows), unlabelled: formatNumber(look.unlabelled) })}</p>
      </div>
      {look.why_not === "other_task" && look.unlabelled < look.rows && (
        <ButtonLink kind="primary" icon="build" to={`/projects/${project}/build`}>
          {t("look.build")}
        </ButtonLink>
      )}
      {look.unlabelled > 0 && (
        <ButtonLink kind="primary" icon="label" to={`/projects/${project}/label`}>
          {t("look.label")}
        </ButtonLink>
      )}
    </div>
  );
}

function useAssumptions(project: string): [Assumptions, (change: Partial<Assumptions>) => void] {
  const stored = useProject(project).data?.settings["look"] as Partial<Assumptions> | undefined;
  const [changed, setChanged] = useState<Partial<Assumptions>>({});
  const remember = useRemember(project);
  const mayEdit = useMay("edit");
  const all = { risk: null, requests: REQUESTS, model: "", machine: 0, ...stored, ...changed };
  function change(values: Partial<Assumptions>): void {
    setChanged((before) => ({ ...before, ...values }));
    if (mayEdit) remember.mutate({ look: { ...all, ...values } });
  }
  return [all, change];
}

function Told({ project, look, answer, looking }: { project: string; look: Look; answer: FirstAnswer; looking: boolean }): ReactNode {
  const { t } = useTranslation();
  const [assumptions, change] = useAssumptions(project);
  // A laxer limit that lets nothing more be answered is no choice.
  const reached = answer.points.filter((point, place, all) => point.threshold !== null && point.coverage > (all[place - 1]?.coverage ?? 0));
  const wanted = reached.find((point) => point.risk === assumptions.risk);
  const point = wanted ?? reached.find((one) => one.risk >= PREFERRED - 1e-9) ?? reached.at(-1);
  const unlabelled = useData(project).data?.unlabelled ?? 0;
  const suspects = useFindings(project).data?.find((finding) => finding.kind === "mislabels");
  const saving = useSaving(project, look.version, { ...assumptions, risk: point?.risk ?? null }, point !== undefined || look.point !== null);
  const [open, setOpen] = useState(false);
  if (!point && !look.point) {
    return (
      <div className={styles.words}>
        <FewRows answer={answer} risk={1} />
        <BuiltModel project={project} />
        <Ways project={project} unlabelled={unlabelled} />
        <p className={styles.small}>
          <HowMeasured project={project} look={look} answer={answer} limited={false} />
        </p>
      </div>
    );
  }
  const saved = saving.data?.saved ?? null;
  return (
    <>
      <div className={styles.told}>
        <div className={styles.words}>
          {look.point ? (
            <p className={styles.sentence}>
              <Trans i18nKey="look.model" values={pointFigures(look.point)} components={[<b key="0" />, <b key="1" />]} />
            </p>
          ) : !point ? null : point.risk > WORTH_TELLING ? (
            <FewRows answer={answer} risk={point.risk} />
          ) : (
            <p className={styles.sentence}>
              <Trans i18nKey="look.sentence" values={{ share: formatShare(point.coverage), risk: formatShare(point.risk) }} components={[<b key="0" />, <b key="1" />]} />
            </p>
          )}
          <BuiltModel project={project} />
          <ul className={styles.facts}>
            {suspects && suspects.open > 0 && (
              <li>
                <Link to="?view=findings#mislabels">{t("look.suspects", { count: suspects.open, rows: formatNumber(suspects.open) })}</Link>
              </li>
            )}
            {saving.data && saved !== null && (
              <li>
                {Math.abs(saved) < 1 ? t("look.savesLittle") : saved > 0 ? t("look.saves", { money: aboutMoney(saved) }) : t("look.costs", { money: aboutMoney(-saved) })}{" "}
                <button type="button" className={styles.assume} aria-expanded={open} onClick={() => setOpen(!open)}>
                  {t("look.assumed", { requests: formatNumber(saving.data.requests), model: saving.data.model })}
                </button>
              </li>
            )}
          </ul>
          <Ways project={project} unlabelled={unlabelled} />
        </div>
        <div className={styles.picture}>
          {look.point ? <Shares coverage={look.point.share} wrong={look.point.error} /> : point && <Shares coverage={point.coverage} wrong={point.wrong} />}
          {look.point ? (
            <ButtonLink small to={`/projects/${project}/report`}>
              {t("look.change")}
            </ButtonLink>
          ) : reached.length > 1 ? (
            <>
              <h3 className={styles.small}>{t("look.risk")}</h3>
              <Choice
                label={t("look.risk")}
                value={String(point?.risk)}
                options={reached.map((one) => ({ value: String(one.risk), label: formatShare(one.risk) }))}
                onChange={(value) => change({ risk: Number(value) })}
              />
              <p className={styles.small}>{t("look.riskHelp")}</p>
            </>
          ) : (
            <p className={styles.small}>{t("look.onlyPoint")}</p>
          )}
        </div>
      </div>
      {open && saving.data && <AssumptionFields assumptions={assumptions} model={saving.data.model} models={saving.data.models} said={saving.data.assumptions} onChange={change} />}
      <Problem query={saving} />
      <p className={styles.small}>
        {looking && look.looked_at < look.rows && <Badge tone="accent">{t("look.soFar", { rows: formatNumber(look.looked_at), all: formatNumber(look.rows) })}</Badge>}{" "}
        {look.point ? <PointWords point={look.point} /> : <HowMeasured project={project} look={look} answer={answer} limited />}
      </p>
    </>
  );
}

/** What the quick model gets right, where that is too little or the rows too few for a promise; and how many more rows would do. */
function FewRows({ answer, risk }: { answer: FirstAnswer; risk: number }): ReactNode {
  const { t } = useTranslation();
  const { rows, promise } = rowsMissing(answer, risk) ?? {};
  return (
    <>
      <p className={styles.sentence}>
        <Trans i18nKey="look.quick" values={{ accuracy: formatShare(answer.accuracy.value) }} components={[<b key="0" />]} />
      </p>
      <p>
        {rows === undefined || promise === undefined
          ? t("look.fewOpen")
          : t(answer.on === "tests" ? "look.fewTests" : "look.fewRows", { risk: formatShare(promise), more: formatNumber(rows) })}
      </p>
    </>
  );
}

/** The figure of the newest model, beside that of the quick look. */
function BuiltModel({ project }: { project: string }): ReactNode {
  const model = useModels(project)?.[0];
  const found = model && headline(model);
  if (found?.name !== "accuracy" || found.value === undefined) return null;
  return (
    <p>
      <Trans i18nKey="look.built" values={{ accuracy: formatShare(found.value, 1) }} components={[<b key="0" />, <Link key="1" to={`/projects/${project}/report`} />]} />
    </p>
  );
}

/** What to do next: to build, or to try the model where it was built from just these rows. */
export function Ways({ project, unlabelled }: { project: string; unlabelled: number }): ReactNode {
  const { t } = useTranslation();
  const model = useModels(project)?.[0];
  const version = useData(project).data?.version;
  const built = model !== undefined && madeFrom(model).version === version;
  return (
    <div className={styles.buttons}>
      {built && (
        <ButtonLink kind="primary" icon="chat" to={`/projects/${project}/try`}>
          {t("look.try")}
        </ButtonLink>
      )}
      <ButtonLink kind={built ? "plain" : "primary"} icon="build" to={`/projects/${project}/build`}>
        {t(built ? "look.buildAgain" : "look.build")}
      </ButtonLink>
      {unlabelled > 0 && (
        <ButtonLink icon="label" to={`/projects/${project}/label`}>
          {t("look.labelRows", { count: unlabelled, rows: formatNumber(unlabelled) })}
        </ButtonLink>
      )}
    </div>
  );
}

/** How the figures came about; `limited`: a limit on wrong answers is among them. What a trained model would do is told until there is one. */
function HowMeasured({ project, look, answer, limited }: { project: string; look: Look; answer: FirstAnswer; limited: boolean }): ReactNode {
  const { t } = useTranslation();
  const built = (useModels(project)?.length ?? 0) > 0;
  const figures = { rows: formatNumber(answer.measured), accuracy: formatShare(answer.accuracy.value, 1), low: formatShare(answer.accuracy.low, 1), high: formatShare(answer.accuracy.high, 1) };
  return (
    <>
      {t(answer.on === "tests" ? "look.howTests" : "look.how", figures)} {limited && t("look.limit", { confidence: formatShare(answer.confidence) })} {!built && t("look.usually")}
      {answer.on !== "tests" && look.looked_at === look.rows && answer.measured < look.rows && ` ${t("look.aside")}`}
      {look.by === "words" && ` ${t("look.byWords")}`}
    </>
  );
}

/** An amount in words that promise no more than they know: whole dollars from ten on. */
function aboutMoney(usd: number): string {
  return formatMoney(usd, usd < 10 ? 2 : 0);
}

/** A bar of all rows: answered rightly, answered wrongly, and left to a person. */
function Shares({ coverage, wrong }: { coverage: number; wrong: number }): ReactNode {
  const { t } = useTranslation();
  const parts = [
    { name: "right", share: coverage * (1 - wrong), tone: styles.right },
    { name: "wrong", share: coverage * wrong, tone: styles.wrong },
    { name: "left", share: 1 - coverage, tone: styles.left },
  ];
  return (
    <figure className={styles.shares}>
      <div className={styles.bar} aria-hidden="true">
        {parts.map((part) => (
          <span key={part.name} className={part.tone} style={{ flexGrow: part.share }} />
        ))}
      </div>
      <figcaption>
        {parts.map((part) => (
          <span key={part.name}>
            <i className={part.tone} aria-hidden="true" />
            {t(`look.${part.name}`)} <b className="numbers">{formatShare(part.share, part.name === "wrong" ? 1 : 0)}</b>
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

interface FieldsProps {
  assumptions: Assumptions;
  model: string;
  models: readonly string[];
  said: readonly string[];
  onChange: (change: Partial<Assumptions>) => void;
}

function AssumptionFields({ assumptions, model, models, said, onChange }: FieldsProps): ReactNode {
  const { t } = useTranslation();
  return (
    <div className={styles.assumptions}>
      <div className={styles.fields}>
        <NumberField label={t("look.requests")} value={assumptions.requests} least={1} most={MOST_REQUESTS} whole late onChange={(requests) => requests !== null && onChange({ requests })} />
        <Select label={t("look.model")} value={model} options={models.map((name) => ({ value: name, label: name }))} onChange={(event) => onChange({ model: event.target.value })} />
        <NumberField label={t("look.machine")} help={t("look.machineHelp")} value={assumptions.machine} least={0} most={MOST_MACHINE} late onChange={(machine) => machine !== null && onChange({ machine })} />
      </div>
      <details>
        <summary>{t("look.all")}</summary>
        <ul>
          {said.map((sentence) => (
            <li key={sentence}>{told(sentence)}</li>
          ))}
        </ul>
      </details>
    </div>
  );
}
