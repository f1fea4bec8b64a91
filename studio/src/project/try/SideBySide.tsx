import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useModels } from "../../api/models";
import { rowsQuery, useMay } from "../../api/queries";
import { formatNumber, formatShare } from "../../i18n";
import { agreeing, differingFields, entriesOf, isEmpty, isFields, valueAt, valueText } from "../../ui/answer/answers";
import { AnswerLine, useWords } from "../../ui/answer/AnswerView";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge, Empty, Notice, Skeleton } from "../../ui/Feedback";
import { Select, TextArea, TextField } from "../../ui/Field";
import { useBuildName, useModelName } from "../../ui/ModelPicker";
import { Problem } from "../../ui/Problem";
import { type Answering, type Large, largeSide, modelSide, type Side, type TriedText } from "./queries";
import { evenly, linesOf } from "./lists";
import styles from "./Try.module.css";

const MOST = 20;
const FEW = 10;
const LARGE = "large";

/** Kept while the page is open, so that one need not type it again; never stored. */
let lastLarge: Large = { url: "", model: "", key: "" };

interface Compared {
  texts: TriedText[];
  one: Side[];
  other: Side[];
}

/** Two models of the project, or a model and a large one, on the same texts. */
export function SideBySide({ project, model, facts }: { project: string; model: string; facts: Answering }): ReactNode {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const all = useModels(project) ?? [];
  const models = all.filter((run) => run.id !== model);
  const modelName = useModelName(project);
  const buildName = useBuildName(project);
  const named = (id: string) => all.filter((run) => run.id === id).map(buildName)[0] ?? "";
  const mayAsk = useMay("build");
  const queries = useQueryClient();
  const [lines, setLines] = useState("");
  const [large, setLarge] = useState(lastLarge);
  const wanted = search.get("with");
  const other = models.some((run) => run.id === wanted) || wanted === LARGE ? (wanted as string) : (models[0]?.id ?? LARGE);
  const texts = linesOf(lines, MOST);
  const compare = useMutation({
    mutationFn: async (asked: TriedText[]): Promise<Compared> => {
      const [one, second] = await Promise.all([modelSide(project, model, asked), other === LARGE ? largeSide(project, model, asked, large) : modelSide(project, other, asked)]);
      return { texts: asked, one, other: second };
    },
  });

  async function takeRows(): Promise<void> {
    const found = await queries.query(rowsQuery(project, { search: "", output: null, unlabelled: false, part: null }, 0));
    setLines(evenly(found.rows, FEW).map((row) => row.input.replaceAll(/\s+/g, " ")).join("\n"));
  }

  const host = large.url.replace(/^\w+:\/\//, "").split("/")[0] ?? "";
  const ready = texts.length > 0 && (other !== LARGE || (large.url.trim() !== "" && large.model.trim() !== "" && mayAsk));
  if (facts.pairs) return <Empty icon="chat" title={t("try.noPairs")} />;
  return (
    <div className={styles.stack}>
      <Card>
        <form
          className={styles.form}
          onSubmit={(event) => {
            event.preventDefault();
            compare.mutate(texts);
          }}
        >
          <div className={styles.columns}>
            <TextArea label={t("try.lines", { most: MOST })} value={lines} rows={6} onChange={(event) => setLines(event.target.value)} />
            <div className={styles.form}>
              <Select
                label={t("try.with")}
                value={other}
                options={[...models.map((run) => ({ value: run.id, label: modelName(run) })), ...(facts.teachable ? [{ value: LARGE, label: t("try.large") }] : [])]}
                onChange={(event) => {
                  compare.reset();
                  setSearch((before) => new URLSearchParams({ ...Object.fromEntries(before), with: event.target.value }), { replace: true });
                }}
              />
              {other === LARGE && (
                <LargeFields
                  large={large}
                  onChange={(next) => {
                    lastLarge = next;
                    setLarge(next);
                  }}
                />
              )}
            </div>
          </div>
          {other === LARGE && <Notice tone={mayAsk ? "plain" : "warn"}>{mayAsk ? t("try.leaves", { host: host || t("try.thatServer") }) : t("try.mayNotAsk")}</Notice>}
          <div className={styles.buttons}>
            <Button kind="primary" type="submit" disabled={!ready} busy={compare.isPending}>
              {t("try.compare")}
            </Button>
            <Button onClick={() => void takeRows()}>{t("try.takeRows", { count: FEW })}</Button>
          </div>
        </form>
      </Card>
      <Problem query={{ error: compare.error }} />
      {compare.isPending && <Skeleton lines={6} label={t("try.comparing")} />}
      {compare.data && <Comparison compared={compare.data} names={[named(model), other === LARGE ? large.model : named(other)]} />}
    </div>
  );
}

function LargeFields({ large, onChange }: { large: Large; onChange: (next: Large) => void }): ReactNode {
  const { t } = useTranslation();
  return (
    <>
      <TextField label={t("try.url")} value={large.url} placeholder="https://api.example.com/v1" inputMode="url" autoComplete="off" onChange={(event) => onChange({ ...large, url: event.target.value })} />
      <div className={styles.columns}>
        <TextField label={t("try.largeName")} value={large.model} autoComplete="off" onChange={(event) => onChange({ ...large, model: event.target.value })} />
        <TextField label={t("try.key")} type="password" value={large.key} autoComplete="off" onChange={(event) => onChange({ ...large, key: event.target.value })} />
      </div>
    </>
  );
}

function Comparison({ compared, names }: { compared: Compared; names: [string, string] }): ReactNode {
  const { t } = useTranslation();
  const same = compared.one.map((side, place) => agreeing(side.output, compared.other[place]?.output));
  const agreed = same.filter(Boolean).length;
  // What differs stands first.
  const order = same.map((_, place) => place).sort((one, other) => Number(same[one]) - Number(same[other]));
  return (
    <Card flush title={undefined}>
      <p className={styles.summary} role="status">
        <strong>{t("try.agree", { agreed: formatNumber(agreed), count: same.length })}</strong>
        <span className={styles.soft}>{t("try.times", { one: ms(compared.one), other: ms(compared.other) })}</span>
      </p>
      <div className={styles.wide}>
        <table className={cx(styles.compared, styles.sides)}>
          <thead>
            <tr>
              <th scope="col">{t("try.textColumn")}</th>
              {names.map((name, side) => (
                <th key={side} scope="col">
                  {name}
                </th>
              ))}
              <th scope="col" />
            </tr>
          </thead>
          <tbody>
            {order.map((place) => (
              <tr key={place} className={cx(!same[place] && styles.differs)}>
                <td>{compared.texts[place]?.text}</td>
                <SideCell side={compared.one[place]} other={compared.other[place]} text={compared.texts[place]?.text ?? ""} />
                <SideCell side={compared.other[place]} other={compared.one[place]} text={compared.texts[place]?.text ?? ""} />
                <td>{same[place] ? <Badge icon="check">{t("try.same")}</Badge> : <Badge tone="warn">{t("try.differ")}</Badge>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function SideCell({ side, other, text }: { side: Side | undefined; other: Side | undefined; text: string }): ReactNode {
  if (!side) return <td />;
  if (side.whyNot) return <td className={styles.soft}>{side.whyNot}</td>;
  return (
    <td>
      <span className={styles.sideText}>{typeof side.output === "object" ? <SideAnswer value={side.output} other={other?.output} text={text} /> : side.text}</span> {side.score !== null && <span className={cx(styles.soft, "numbers", isFields(side.output) && styles.below)}>{formatShare(side.score)}</span>}
    </td>
  );
}

/** An answer in one line. Of fields that differ from the other side's, each is told, and what both say stands back. */
function SideAnswer({ value, other, text }: { value: unknown; other: unknown; text: string }): ReactNode {
  const { t } = useTranslation();
  const words = useWords();
  const differing = isFields(value) && isFields(other) ? differingFields(value, other) : null;
  if (!isFields(value) || !differing?.size) return <AnswerLine value={value} text={text} />;
  const paths = [...new Set([...entriesOf(value).map(([path]) => path), ...differing])].filter((path) => differing.has(path) || !isEmpty(valueAt(value, path)));
  return paths.map((path, place) => {
    const said = valueAt(value, path);
    return (
      <span key={path}>
        {place > 0 && " · "}
        <span className={cx(!differing.has(path) && styles.alike)}>
          {path}: {isEmpty(said) ? t("answer.notSaid") : valueText(said, words)}
        </span>
      </span>
    );
  });
}

function ms(sides: readonly Side[]): string {
  const mean = sides.reduce((sum, side) => sum + side.seconds, 0) / Math.max(1, sides.length);
  return formatNumber(mean * 1000, { maximumSignificantDigits: 2 });
}
