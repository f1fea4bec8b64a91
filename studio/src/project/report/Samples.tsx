import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber, formatShare } from "../../i18n";
import { useWords } from "../../ui/answer/AnswerView";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { cx } from "../../ui/cx";
import { Badge } from "../../ui/Feedback";
import { Highlighted } from "../../ui/Highlighted";
import { Wanted } from "../tests/Wanted";
import type { ReportView } from "./queries";
import { suggests } from "./wording";
import styles from "./Report.module.css";

const FEW = 4;

type Sample = ReportView["report"]["samples"][number];

/** Items as their ids: a JSON list, or one. */
function idsIn(text: string): string {
  try {
    const found: unknown = JSON.parse(text);
    return Array.isArray(found) ? found.map(String).join(", ") : text;
  } catch {
    return text;
  }
}

/** What a customer had bought, what was suggested, and what they bought next. */
function Suggested({ sample }: { sample: Sample }): ReactNode {
  const { t } = useTranslation();
  const hit = sample.wanted.some((one) => idsIn(sample.got).split(", ").includes(one));
  return (
    <li className={styles.sample}>
      <h3>{t("report.hadBought")}</h3>
      <p className={styles.quote}>{idsIn(sample.text)}</p>
      <div className={styles.beside}>
        <div>
          <h3>{t("report.wasSuggested")}</h3>
          <p>{sample.got ? idsIn(sample.got) : t("report.nothing")}</p>
        </div>
        <div>
          <h3>{t("report.boughtNext")}</h3>
          <p>{sample.wanted.join(", ")}</p>
        </div>
      </div>
      <p className={styles.badges}>
        <Badge tone={hit ? "good" : "plain"}>{t(hit ? "report.wasAmong" : "report.wasNotAmong")}</Badge>
      </p>
    </li>
  );
}

/** Written texts beside what was wanted, and texts with the fields that were found in them. */
export function Samples({ view }: { view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const { samples, fillings } = view.report;
  const talks = samples.some((sample) => sample.outcome);
  const items = suggests(view);
  const words = useWords();
  const truth = (said: string) => (said === "true" ? words.yes : said === "false" ? words.no : said);
  return (
    <>
      {samples.length > 0 && (
        <Several title={t(talks ? "report.messages" : items ? "report.suggested" : "report.samples")} note={t(talks ? "report.messagesNote" : items ? "report.suggestedNote" : "report.samplesNote")} count={samples.length}>
          {(shown) =>
            samples.slice(0, shown).map((sample, place) => sample.outcome ? <Message key={place} sample={sample} /> : items ? <Suggested key={place} sample={sample} /> : (
              <li key={place} className={styles.sample}>
                <h3>{t("report.given")}</h3>
                <p className={styles.quote}>
                  <Highlighted text={sample.text} phrases={sample.missing.map((one) => one.value)} tone="warn" />
                </p>
                <div className={styles.beside}>
                  <div>
                    <h3>{t("report.modelWrote")}</h3>
                    <p>{sample.got ? <Highlighted text={sample.got} phrases={sample.unsupported.map((one) => one.value)} tone="bad" /> : t("report.nothing")}</p>
                  </div>
                  <div>
                    <h3>{t("report.youWrote")}</h3>
                    {sample.wanted.map((text, number) => (
                      <p key={number}>{text}</p>
                    ))}
                  </div>
                </div>
                <p className={styles.badges}>
                  <Badge tone={sample.grade >= 0.5 ? "good" : sample.weak ? "bad" : "warn"}>{t("report.gradeIs", { grade: formatNumber(sample.grade, { minimumFractionDigits: 2, maximumFractionDigits: 2 }) })}</Badge>
                  {view.report.metrics?.["coverage"] && sample.missing.length + sample.unsupported.length === 0 && (
                    <Badge tone="good" icon="check">
                      {t("report.allFacts")}
                    </Badge>
                  )}
                  {sample.cut && <Badge tone="warn">{t("report.cut")}</Badge>}
                  {sample.missing.map((one) => (
                    <Badge key={`m-${one.key}`} tone="warn">
                      {t("report.leavesOut", { what: `${one.key}: ${one.value}` })}
                    </Badge>
                  ))}
                  {sample.unsupported.map((one) => (
                    <Badge key={`u-${one.key}`} tone="bad">
                      {t("report.makesUp", { what: `${one.key}: ${one.value}` })}
                    </Badge>
                  ))}
                </p>
              </li>
            ))
          }
        </Several>
      )}
      {fillings.length > 0 && (
        <Several title={t("report.fillings")} note={t("report.fillingsNote")} count={fillings.length}>
          {(shown) =>
            fillings.slice(0, shown).map((filling, place) => (
              <li key={place} className={styles.sample}>
                <p className={styles.quote}>{filling.text}</p>
                <div className={styles.wide} tabIndex={0} role="region" aria-label={t("report.samples")}>
                  <table className={styles.table}>
                    <thead>
                      <tr>
                        <th scope="col">{t("report.field")}</th>
                        <th scope="col">{t("report.found")}</th>
                        <th scope="col">{t("report.wanted")}</th>
                      </tr>
                    </thead>
                    <tbody>
                      {filling.fields.map((field) => (
                        <tr key={field.name}>
                          <th scope="row">{field.name}</th>
                          <td className={cx(!field.right && styles.said)}>{truth(field.got) || t("report.nothing")}</td>
                          <td className={cx(!field.right && styles.wanted)}>{truth(field.wanted) || t("report.nothing")}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
                <p className={styles.badges}>
                  <Badge tone={filling.right ? "good" : "warn"}>{t(filling.right ? "report.allFieldsRight" : "report.someFieldsWrong")}</Badge>
                  <Badge>{t("report.sure", { share: formatShare(filling.score) })}</Badge>
                  {filling.refused && <Badge tone="bad">{filling.refused}</Badge>}
                </p>
              </li>
            ))
          }
        </Several>
      )}
    </>
  );
}

/** A message of a test conversation: what was said before, what the desk answered, and what was wanted. */
function Message({ sample }: { sample: Sample }): ReactNode {
  const { t } = useTranslation();
  const right = sample.grade >= 0.5;
  return (
    <li className={styles.sample}>
      <h3>{t("report.customerSaid")}</h3>
      {sample.earlier.map((said, place) => (
        <p key={place} className={styles.soft}>
          {said}
        </p>
      ))}
      <p>{sample.text}</p>
      <div className={styles.beside}>
        <div>
          <h3>{t("tests.got")}</h3>
          <p className={styles.badges}>
            <Badge tone={right ? "good" : "bad"} icon={right ? "check" : "close"}>
              {t(`tests.outcome.${sample.outcome}`)}
            </Badge>
          </p>
          <p>{sample.got}</p>
        </div>
        <Wanted expect={sample.expected} />
      </div>
    </li>
  );
}

function Several({ title, note, count, children }: { title: string; note: string; count: number; children: (shown: number) => ReactNode }): ReactNode {
  const { t } = useTranslation();
  const [all, setAll] = useState(false);
  return (
    <Card title={title} note={note}>
      <ol className={styles.samples}>{children(all ? count : FEW)}</ol>
      {count > FEW && (
        <div className={styles.more}>
          <Button small onClick={() => setAll(!all)}>
            {all ? t("report.fewer") : t("report.allSamples", { n: formatNumber(count) })}
          </Button>
        </div>
      )}
    </Card>
  );
}
