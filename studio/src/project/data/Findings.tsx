import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation } from "react-router";

import { useEdit, useLabels, useMay, useStep } from "../../api/queries";
import { formatNumber, formatShare, languageName } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Empty, Skeleton } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { useToast } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { Bars } from "../../charts/Bars";
import styles from "./Findings.module.css";
import { FetchBase } from "./FetchBase";
import { RedactRows } from "./Redact";
import { largestFirst } from "./largestFirst";
import { type Finding, type FindingItem, isLooking, useAnswers, useFindings, useKeep, useLook } from "./queries";

const FEW = 20;
const FIRST = 200;
const MOST = 1_000;
const FACTS = new Set(["counts", "lengths", "language"]);

/** What the check found: places that one mends here, and facts about the data. */
export function Findings({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const [all, setAll] = useState(false);
  const findings = useFindings(project, all ? MOST : FIRST);
  const { look } = useLook(project);
  const { hash } = useLocation();
  const ready = findings.data !== undefined;
  useEffect(() => {
    if (ready && hash) document.getElementById(hash.slice(1))?.scrollIntoView();
  }, [ready, hash]);
  if (findings.error) return <Problem query={findings} />;
  if (!findings.data) return <Skeleton label={t("common.loading")} />;
  if (findings.data.length === 0 && look.data && (isLooking(look.data) || look.data.version === null)) {
    return <Card>{isLooking(look.data) ? <Skeleton label={t("findings.looking")} /> : <Empty icon="search" title={t("findings.notYet")}>{t("findings.notYetAbout")}</Empty>}</Card>;
  }
  const open = findings.data.filter((finding) => finding.open > 0);
  const plain = findings.data.filter((finding) => finding.open === 0 && finding.shape === "facts" && !FACTS.has(finding.kind));
  return (
    <div className={styles.findings}>
      {open.length === 0 && (
        <Card>
          <Empty icon="check" title={t("findings.nothing")}>
            {t("findings.nothingAbout")}
          </Empty>
        </Card>
      )}
      {open.map((finding) => (
        <OneFinding key={finding.kind} project={project} finding={finding} onAll={() => setAll(true)} />
      ))}
      <Facts findings={findings.data} plain={plain} />
    </div>
  );
}

function titleOf(t: ReturnType<typeof useTranslation>["t"], finding: Finding, number: number): string {
  return t(`findings.${finding.kind.replace(".", "_")}.title`, { count: number, rows: formatNumber(number), defaultValue: told(finding.text) });
}

interface OneProps {
  project: string;
  finding: Finding;
  onAll: () => void;
}

const TONES = { error: "bad", warning: "warn", note: "plain" } as const;

function OneFinding({ project, finding, onAll }: OneProps): ReactNode {
  const { t } = useTranslation();
  const mend = useMending(project);
  const mayEdit = useMay("edit");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [shownRows, setShownRows] = useState(FEW);
  const items = finding.items;
  const picked = items.filter((item) => chosen.has(item.id));
  const many = items.length > 1 && (finding.shape === "relabel" || finding.shape === "drop" || finding.shape === "redact");
  const [redacted, setRedacted] = useState<readonly number[] | "all" | null>(null);
  const keysOf = (some: readonly FindingItem[]) => some.flatMap((item) => item.rows.map((row) => row.key));
  const toggle = (id: string) =>
    setChosen((before) => {
      const next = new Set(before);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  const visible = items.slice(0, shownRows);
  const left = finding.open - visible.length;
  return (
    <Card
      title={
        <span id={finding.kind} className={styles.title}>
          {titleOf(t, finding, finding.open)} {finding.severity !== "note" && <Badge tone={TONES[finding.severity]}>{t(`findings.${finding.severity}`)}</Badge>}
        </span>
      }
      note={t(`findings.${finding.kind.replace(".", "_")}.about`, { defaultValue: told(finding.todo) })}
      actions={
        finding.shape === "redact" && (
          <Button small kind="primary" icon="label" disabled={!mayEdit} title={mayEdit ? undefined : t("data.mayNot")} onClick={() => setRedacted("all")}>
            {t("redact.all")}
          </Button>
        )
      }
    >
      <MixUps finding={finding} />
      {many && mayEdit && (
        <div className={styles.bar}>
          {finding.shape !== "relabel" && <label>
            <input type="checkbox" checked={picked.length === items.length} onChange={(event) => setChosen(new Set(event.target.checked ? items.map((item) => item.id) : []))} /> {t("findings.all", { rows: formatNumber(items.length) })}
          </label>}
          {picked.length > 0 && (
            <>
              {finding.shape === "relabel" && (
                <Button small kind="primary" icon="check" busy={mend.busy} onClick={() => mend.take(picked)}>
                  {t("findings.takeMany", { count: picked.length, rows: formatNumber(picked.length) })}
                </Button>
              )}
              {finding.shape === "redact" && (
                <Button small kind="primary" icon="label" onClick={() => setRedacted(keysOf(picked))}>
                  {t("redact.replace", { count: picked.length, rows: formatNumber(picked.length) })}
                </Button>
              )}
              <Button small busy={mend.busy} onClick={() => mend.keep(picked)}>
                {t("findings.keepMany", { count: picked.length, rows: formatNumber(picked.length) })}
              </Button>
              <Button small kind="danger" icon="trash" busy={mend.busy} onClick={() => mend.drop(picked)}>
                {t("findings.dropMany", { count: picked.length, rows: formatNumber(picked.length) })}
              </Button>
            </>
          )}
        </div>
      )}
      <Problem query={{ error: mend.error }} />
      <ul className={styles.items}>
        {visible.map((item) => (
          <li key={item.id} className={styles.item}>
            {many && mayEdit && <input type="checkbox" aria-label={t("findings.choose", { text: item.rows[0]?.input ?? "" })} checked={chosen.has(item.id)} onChange={() => toggle(item.id)} />}
            <Item project={project} finding={finding} item={item} mend={mend} mayEdit={mayEdit} onRedact={() => setRedacted(keysOf([item]))} />
          </li>
        ))}
      </ul>
      {redacted && <RedactRows project={project} keys={redacted === "all" ? null : redacted} onClose={() => setRedacted(null)} />}
      {left > 0 && (
        <Button
          small
          kind="quiet"
          onClick={() => {
            onAll();
            setShownRows((before) => before + 100);
          }}
        >
          {t("findings.more", { count: left, rows: formatNumber(left) })}
        </Button>
      )}
    </Card>
  );
}

interface Mending {
  take: (items: readonly FindingItem[]) => void;
  keep: (items: readonly FindingItem[]) => void;
  drop: (items: readonly FindingItem[]) => void;
  relabel: (item: FindingItem, label: string) => void;
  merge: (old: readonly string[], into: string | null) => void;
  busy: boolean;
  error: Error | null;
}

/** The ways to mend a finding, each with an undo. */
function useMending(project: string): Mending {
  const { t } = useTranslation();
  const toast = useToast();
  const edit = useEdit(project);
  const answers = useAnswers(project);
  const kept = useKeep(project);
  const step = useStep(project);
  const undoable = (text: string) => toast({ text, action: { label: t("common.undo"), run: () => step.mutate("undo") } });
  const rowsOf = (items: readonly FindingItem[]) => items.flatMap((item) => item.rows.map((row) => row.key));
  const rows = (number: number) => ({ count: number, rows: formatNumber(number) });
  // Said even where the finding, and this with it, is gone from the page by then.
  const after = (work: Promise<unknown>, say: () => void) => void work.then(say, () => undefined);
  return {
    take: (items) => after(answers.mutateAsync(items.flatMap((item) => item.rows.map((row) => ({ key: row.key, output: item.proposed, undo: false })))), () => undoable(t("findings.taken", rows(items.length)))),
    keep: (items) => {
      const ids = items.map((item) => item.id);
      after(kept.mutateAsync({ ids, kept: true }), () => toast({ text: t("findings.kept", rows(ids.length)), action: { label: t("common.undo"), run: () => kept.mutate({ ids, kept: false }) } }));
    },
    drop: (items) => after(edit.mutateAsync({ kind: "drop", keys: rowsOf(items) }), () => undoable(t("findings.dropped", rows(items.length)))),
    relabel: (item, label) => after(edit.mutateAsync({ kind: "relabel", keys: rowsOf([item]), output: label }), () => undoable(t("findings.decided", { label }))),
    merge: (old, into) => after(edit.mutateAsync({ kind: "merge", old: [...old], new: into }), () => undoable(into === null ? t("findings.removedLabel", { label: old.join(", ") }) : t("findings.merged", { label: into }))),
    busy: edit.isPending || answers.isPending || kept.isPending,
    error: edit.error ?? answers.error ?? kept.error,
  };
}

interface ItemProps {
  project: string;
  finding: Finding;
  item: FindingItem;
  mend: Mending;
  mayEdit: boolean;
  onRedact?: () => void;
}

function Item({ project, finding, item, mend, mayEdit, onRedact }: ItemProps): ReactNode {
  const { t } = useTranslation();
  const row = item.rows[0];
  const keep = mayEdit && (
    <Button small kind="quiet" disabled={mend.busy} onClick={() => mend.keep([item])}>
      {t("findings.keep")}
    </Button>
  );
  if (finding.shape === "names") return <Names project={project} finding={finding} item={item} mend={mend} mayEdit={mayEdit} />;
  if (finding.shape === "base" && item.proposed) return <FetchBase project={project} base={item.proposed} />;
  if (!row) return null;
  if (finding.shape === "decide") {
    return (
      <div className={styles.about}>
        <p className={styles.text}>{row.input}</p>
        <div className={styles.actions}>
          {item.names.map((name) => (
            <Button key={name.label} small kind={name.label === item.proposed ? "primary" : "plain"} disabled={!mayEdit || mend.busy} onClick={() => mend.relabel(item, name.label)}>
              {name.label} ({formatNumber(name.rows)})
            </Button>
          ))}
          {keep}
        </div>
      </div>
    );
  }
  return (
    <div className={styles.about}>
      <p className={styles.text}>{row.input}</p>
      {item.other && item.other.input !== row.input && <p className={styles.other}>{item.other.input}</p>}
      <div className={styles.actions}>
        {finding.shape === "relabel" ? (
          <>
            <span className={styles.given}>{String(row.output)}</span>
            <span aria-hidden="true">→</span>
            <Button small kind="plain" disabled={!mayEdit || mend.busy} onClick={() => mend.take([item])}>
              {item.proposed} <span className="numbers">{formatShare(item.chance ?? 0)}</span>
            </Button>
          </>
        ) : (
          <>
            {typeof row.output === "string" && <span className={styles.given}>{row.output}</span>}
            {finding.shape === "redact" && (
              <Button small kind="plain" disabled={!mayEdit || mend.busy} onClick={onRedact}>
                {t("redact.one")}
              </Button>
            )}
            {item.chance !== null && <span className={styles.soft}>{t("findings.alike", { share: formatShare(item.chance) })}</span>}
            {finding.shape === "base" && keep}
            <Button small kind={finding.shape === "base" ? "quiet" : "plain"} disabled={!mayEdit || mend.busy} onClick={() => mend.drop([item])}>
              {t("findings.drop")}
            </Button>
          </>
        )}
        {finding.shape !== "base" && keep}
      </div>
    </div>
  );
}

/** Labels that may be one, or that have too few rows. */
function Names({ project, finding, item, mend, mayEdit }: ItemProps): ReactNode {
  const { t } = useTranslation();
  const labels = useLabels(project);
  const single = item.names.length === 1 ? item.names[0] : undefined;
  const others = (labels.data ?? []).flatMap((found) => (typeof found.output === "string" && found.output !== single?.label ? [found.output] : []));
  const [chosen, setChosen] = useState(item.proposed ?? "");
  const into = others.includes(chosen) ? chosen : "";
  return (
    <div className={styles.about}>
      <p className={styles.names}>
        {item.names.map((name) => (
          <Link key={name.label} to={`?label=${encodeURIComponent(JSON.stringify(name.label))}`}>
            {name.label} <span className="numbers">({formatNumber(name.rows)})</span>
          </Link>
        ))}
        {item.why && <span className={styles.soft}>{told(item.why)}</span>}
      </p>
      <div className={styles.actions}>
        {single
          ? mayEdit && (
              <>
                <Select label={t("findings.mergeInto")} value={into} options={[{ value: "", label: t("findings.chooseLabel") }, ...others.map((name) => ({ value: name, label: name === item.proposed ? t("findings.nearest", { label: name }) : name }))]} onChange={(event) => setChosen(event.target.value)} />
                <Button small disabled={mend.busy || into === ""} onClick={() => mend.merge([single.label], into)}>
                  {t("findings.merge")}
                </Button>
                {finding.kind === "label_names.missing" && (
                  <Button small disabled={mend.busy} onClick={() => mend.merge([single.label], null)}>
                    {t("findings.noLabel")}
                  </Button>
                )}
              </>
            )
          : item.names.map((name) => (
              <Button key={name.label} small disabled={!mayEdit || mend.busy} onClick={() => mend.merge(item.names.flatMap((other) => (other.label === name.label ? [] : [other.label])), name.label)}>
                {t("findings.allAs", { label: name.label })}
              </Button>
            ))}
        {mayEdit && (
          <Button small kind="quiet" disabled={mend.busy} onClick={() => mend.keep([item])}>
            {t(single ? "findings.keep" : "findings.keepBoth")}
          </Button>
        )}
      </div>
    </div>
  );
}

/** Which labels are taken for which, the commonest mix-ups first. */
function MixUps({ finding }: { finding: Finding }): ReactNode {
  const { t } = useTranslation();
  const pairs = largestFirst(finding.details["mixed"]);
  if (finding.kind !== "mislabels" || pairs.length < 2) return null;
  return (
    <div className={styles.chart}>
      <h3>{t("findings.mixUps")}</h3>
      <Bars entries={pairs} format={formatNumber} label={t("findings.mixUps")} />
    </div>
  );
}

/** Plain facts: rows of each label, languages, lengths. */
function Facts({ findings, plain }: { findings: readonly Finding[]; plain: readonly Finding[] }): ReactNode {
  const { t } = useTranslation();
  const of = (kind: string) => findings.find((finding) => finding.kind === kind);
  const labels = largestFirst(of("counts")?.details["labels"]);
  const told = largestFirst(of("language")?.details["languages"]);
  const foreign = told.some(({ name, value }) => name !== "en" && value > 0.5);
  const languages = told.map((entry) => ({ ...entry, name: languageName(entry.name) }));
  const lengths = of("lengths")?.details as { median: number; p99: number; longest: number } | undefined;
  if (!labels.length && !languages.length && !lengths && !plain.length) return null;
  return (
    <Card title={t("findings.facts")}>
      <div className={styles.facts}>
        {labels.length > 0 && (
          <div>
            <h3>{t("findings.labels")}</h3>
            <Bars entries={labels} most={12} format={formatNumber} label={t("findings.labels")} />
          </div>
        )}
        {languages.length > 0 && (
          <div>
            <h3>{t("findings.languages")}</h3>
            <Bars entries={languages} most={6} format={(value) => formatShare(value)} label={t("findings.languages")} />
            {foreign && <p>{t("findings.foreign")}</p>}
          </div>
        )}
        {lengths && (
          <div>
            <h3>{t("findings.lengths")}</h3>
            <dl>
              <dt>{t("findings.median")}</dt>
              <dd className="numbers">{formatNumber(lengths.median)}</dd>
              <dt>{t("findings.longest")}</dt>
              <dd className="numbers">{formatNumber(lengths.longest)}</dd>
            </dl>
          </div>
        )}
        {plain.length > 0 && (
          <ul>
            {plain.map((finding) => (
              <li key={finding.kind}>{titleOf(t, finding, finding.count)}</li>
            ))}
          </ul>
        )}
      </div>
    </Card>
  );
}
