import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams, useSearchParams } from "react-router";

import { useMay } from "../../api/queries";
import { formatShare } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { Choice } from "../../ui/Choice";
import { cx } from "../../ui/cx";
import { Badge, Empty, Notice, Skeleton } from "../../ui/Feedback";
import { Search } from "../../ui/Field";
import { FileButton } from "../../ui/FileDrop";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { ConversationForm } from "./ConversationForm";
import { type Conversation, type Result, type Tests, useDeleteConversation, useImportConversations, useMeasure, useTests } from "./queries";
import layout from "../../ui/Layout.module.css";
import styles from "./Tests.module.css";
import { countOf, verdictOf } from "./turns";
import { Wanted } from "./Wanted";

const FILES = ".jsonl,.ndjson";
const SHOWN = 40;
const FILTERS = ["all", "wrong", "right", "open"] as const;
type Filter = (typeof FILTERS)[number];

/** The conversations that a desk is measured on: what customers say, what is wanted, and what the last build answered. */
export function TestsPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const [address] = useSearchParams();
  const tests = useTests(project);
  const may = useMay("edit");
  const mayBuild = useMay("build");
  const add = useImportConversations(project);
  const measure = useMeasure(project);
  const [open, setOpen] = useState<Conversation | "new" | null>(null);
  const [filter, setFilter] = useState<Filter>(FILTERS.find((one) => one === address.get("show")) ?? "all");
  const [search, setSearch] = useState("");
  const [most, setMost] = useState(SHOWN);
  const data = tests.data;
  const { right, measured } = countOf(data?.conversations ?? []);
  const found = (data?.conversations ?? []).filter((one) => (filter === "all" || verdictOf(one.results) === filter) && says(one, search));
  return (
    <>
      <PageTitle
        title={t("nav.tests")}
        about={t("tests.about")}
        actions={
          data && (
            <div className={layout.row}>
              {data.model && (
                <Button icon="run" busy={measure.isPending} disabled={!mayBuild || data.conversations.length === 0} onClick={() => measure.mutate(undefined)}>
                  {t("tests.measure")}
                </Button>
              )}
              {may && <FileButton label={t("tests.import")} accept={FILES} busy={add.isPending} onFile={(file) => void file.text().then((text) => add.mutate({ text, replaces: false, stamp: data.stamp }))} />}
              {may && (
                <Button kind="primary" icon="plus" onClick={() => setOpen("new")}>
                  {t("tests.add")}
                </Button>
              )}
            </div>
          )
        }
      />
      <div className={layout.stack}>
        <Problem query={tests} />
        <Problem query={{ error: add.error }} />
        <Problem query={{ error: measure.error }} />
        {!data && !tests.error && <Skeleton label={t("common.loading")} />}
        {data?.conversations.length === 0 && (
          <Empty icon="chat" title={t("tests.none")}>
            {t("tests.noneAbout")}
          </Empty>
        )}
        {data && data.conversations.length > 0 && (
          <>
            {measured > 0 ? <p>{t("tests.measured", { right, measured, share: formatShare(right / measured) })}</p> : <Notice>{t(data.model ? "tests.notMeasured" : "tests.noModel")}</Notice>}
            <div className={layout.row}>
              <Search label={t("tests.search")} value={search} onChange={(event) => setSearch(event.target.value)} />
              {measured > 0 && <Choice label={t("tests.filter")} value={filter} options={FILTERS.map((one) => ({ value: one, label: t(`tests.${one}`) }))} onChange={setFilter} />}
            </div>
            <div className={layout.close}>
              {found.slice(0, most).map((one) => (
                <One key={one.line} project={project} tests={data} one={one} onOpen={() => setOpen(one)} />
              ))}
              {found.length === 0 && <p className={layout.soft}>{t("tests.noneFound")}</p>}
            </div>
            {found.length > most && (
              <div>
                <Button onClick={() => setMost(most + SHOWN)}>{t("common.showMore", { rows: Math.min(SHOWN, found.length - most) })}</Button>
              </div>
            )}
          </>
        )}
      </div>
      {data && open && <ConversationForm key={open === "new" ? 0 : open.line} project={project} tests={data} one={open === "new" ? null : open} onClose={() => setOpen(null)} />}
    </>
  );
}

function says(one: Conversation, search: string): boolean {
  return one.turns.some((turn) => turn.say.toLowerCase().includes(search.trim().toLowerCase()));
}

function One({ project, tests, one, onOpen }: { project: string; tests: Tests; one: Conversation; onOpen: () => void }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const remove = useDeleteConversation(project);
  const [asking, setAsking] = useState(false);
  const verdict = verdictOf(one.results);
  return (
    <article className={styles.one} aria-label={t("tests.number", { number: one.line })}>
      <header>
        <h3>{t("tests.number", { number: one.line })}</h3>
        {verdict !== "open" && (
          <Badge tone={verdict === "right" ? "good" : "bad"} icon={verdict === "right" ? "check" : "close"}>
            {t(`tests.${verdict}`)}
          </Badge>
        )}
        {may && <IconButton icon="pencil" small label={t("tests.edit", { number: one.line })} onClick={onOpen} />}
        {may && <IconButton icon="trash" small label={t("tests.delete", { number: one.line })} onClick={() => setAsking(true)} />}
      </header>
      {one.mistakes.length > 0 && (
        <Notice tone="bad">
          {one.mistakes.map((mistake, place) => (
            <p key={place}>{told(mistake.text)}</p>
          ))}
        </Notice>
      )}
      <ol className={styles.turns}>
        {one.turns.map((turn, place) => (
          <li key={place} className={styles.turn}>
            <p className={styles.said}>{turn.say}</p>
            <Wanted expect={turn.expect} />
            {one.results[place] && one.results[place].right !== null && <Got result={one.results[place]} />}
          </li>
        ))}
      </ol>
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t("tests.deleteTitle")}
        foot={
          <>
            <Button onClick={() => setAsking(false)}>{t("common.cancel")}</Button>
            <Button kind="danger" busy={remove.isPending} onClick={() => remove.mutate({ line: one.line, stamp: tests.stamp }, { onSuccess: () => setAsking(false) })}>
              {t("common.delete")}
            </Button>
          </>
        }
      >
        <Problem query={{ error: remove.error }} />
      </Dialog>
    </article>
  );
}

function Got({ result }: { result: Result }): ReactNode {
  const { t } = useTranslation();
  return (
    <div className={cx(styles.got, result.right ? styles.right : styles.wrong)}>
      <div className={layout.badges}>
        <span className={layout.soft}>{t("tests.got")}</span>
        <Badge tone={result.right ? "good" : "bad"}>{t(`tests.outcome.${result.outcome}`)}</Badge>
        {result.tool && <code>{result.tool}</code>}
        {result.documents.map((document) => (
          <code key={document}>{document}</code>
        ))}
      </div>
      <p>{result.text}</p>
    </div>
  );
}
