import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

import { languageName } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { Choice } from "../../ui/Choice";
import { cx } from "../../ui/cx";
import { Notice } from "../../ui/Feedback";
import { Select, Switch, TextArea, TextField, Ticks } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { type ArgumentDraft, draftOf, emptyDraft, type ExampleDraft, faultsAt, type Kind, LANGUAGES, settingsOf, shown, shownIn, spread, type ToolDraft, TYPES, valuesIn } from "./draft";
import { type FieldMistake, type Tool, type ToolPlace, type Tools, useSaveTool, useToolCheck } from "./queries";
import layout from "../../ui/Layout.module.css";
import styles from "./Tools.module.css";
import { Marked, Template } from "./Template";

const CHECK_MS = 400;
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

type Change = (change: Partial<ToolDraft>) => void;
interface PartProps {
  draft: ToolDraft;
  set: Change;
  at: (...places: string[]) => string;
}

/** Add a tool, or change one. What is wrong is told at its field while one types, once it was tried to save or there was something. */
export function ToolForm({ project, tools, tool, onClose }: { project: string; tools: Tools; tool: Tool | null; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const given = tool !== null && tool.place.source !== "tools";
  const [draft, setDraft] = useState<ToolDraft>(() => (tool ? draftOf(tool.place.id, tool.settings, given, tool.changes, tool.schema) : emptyDraft()));
  const [tried, setTried] = useState(tool !== null);
  const save = useSaveTool(project);
  const place: ToolPlace = given ? tool.place : { source: "tools", origin: "", id: draft.name.trim() || "new_tool" };
  const change = { place, settings: settingsOf(draft), before: tool?.place ?? null, stamp: tools.stamp };
  const check = useToolCheck(project, useLater(tried ? change : null));
  const mistakes: readonly FieldMistake[] = tried ? (check.data?.mistakes ?? []) : [];
  const set: Change = (part) => {
    if (save.isError) save.reset(); // it told of what stood there before
    setDraft((before) => ({ ...before, ...part }));
  };
  const at = (...places: string[]) => told(faultsAt(mistakes, ...places));
  const rest = mistakes.filter((one) => one.place === "" || (one.place === "kind" && given));
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={tool ? t("tools.editTitle", { name: tool.name }) : t("tools.add")}
      about={given ? t("tools.givenAbout", { origin: tool.place.origin }) : t("tools.formAbout")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button
            kind="primary"
            busy={save.isPending}
            onClick={() => {
              setTried(true);
              save.mutate(change, { onSuccess: onClose });
            }}
          >
            {t("common.save")}
          </Button>
        </>
      }
    >
      <div className={layout.page}>
        <About draft={draft} set={set} at={at} standard={given ? tool.description : ""} />
        {!given && <Arguments draft={draft} set={set} at={at} />}
        {!given && <How draft={draft} set={set} at={at} tables={tools.tables} />}
        <Consent draft={draft} set={set} at={at} />
        <Examples draft={draft} set={set} at={at} />
        {rest.length > 0 && (
          <Notice tone="bad">
            {rest.map((one, number) => (
              <p key={number}>{told(one.text)}</p>
            ))}
          </Notice>
        )}
        {mistakes.length === 0 && <Problem query={{ error: save.error }} />}
        {mistakes.length > 0 && save.error && <Notice tone="warn">{t("tools.notSaved", { count: mistakes.length })}</Notice>}
      </div>
    </Dialog>
  );
}

/** A value once it has not changed for a moment. */
function useLater<V>(value: V): V {
  const text = JSON.stringify(value);
  const [later, setLater] = useState(text);
  useEffect(() => {
    const timer = window.setTimeout(() => setLater(text), CHECK_MS);
    return () => window.clearTimeout(timer);
  }, [text]);
  return JSON.parse(later) as V;
}

function About({ draft, set, at, standard }: PartProps & { standard: string }): ReactNode {
  const { t } = useTranslation();
  const languages = Object.keys(draft.words).includes("") ? ["", ...LANGUAGES] : LANGUAGES;
  return (
    <fieldset className={styles.part}>
      <legend>{t("tools.what")}</legend>
      <div className={layout.fields}>
        <TextField label={t("tools.name")} help={t("tools.nameHelp")} error={at("name")} maxLength={64} value={draft.name} onChange={(event) => set({ name: event.target.value })} />
        <TextField label={t("tools.description")} help={t("tools.descriptionHelp")} error={at("description")} maxLength={2000} placeholder={standard} value={draft.description} onChange={(event) => set({ description: event.target.value })} />
      </div>
      <div className={layout.fields}>
        {languages.map((language) => (
          <TextField
            key={language}
            label={t("tools.words", { language: language ? languageName(language) : t("tools.everyLanguage") })}
            help={language === "en" || language === "" ? t("tools.wordsHelp") : undefined}
            error={at(language ? `words.${language}` : "words") || undefined}
            value={draft.words[language] ?? ""}
            onChange={(event) => set({ words: { ...draft.words, [language]: event.target.value } })}
          />
        ))}
      </div>
      {Object.values(draft.words).some(Boolean) && (
        <p className={styles.saying}>
          <Template text={draft.words.en || draft.words[""] || Object.values(draft.words).find(Boolean) || ""} named={draft.arguments} />
        </p>
      )}
    </fieldset>
  );
}

function Arguments({ draft, set, at }: PartProps): ReactNode {
  const { t } = useTranslation();
  const change = (place: number, part: Partial<ArgumentDraft>) => set({ arguments: draft.arguments.map((one, number) => (number === place ? { ...one, ...part } : one)) });
  return (
    <fieldset className={styles.part}>
      <legend>{t("tools.arguments")}</legend>
      <p className={layout.soft}>{t("tools.argumentsAbout")}</p>
      {at("arguments") && draft.arguments.length === 0 && <p className={styles.faults}>{at("arguments")}</p>}
      {draft.arguments.map((one, place) => (
        <div key={place} className={layout.boxed} role="group" aria-label={shown(one) || t("tools.argument", { number: place + 1 })}>
          <header>
            <strong>{shown(one) || t("tools.argument", { number: place + 1 })}</strong>
            <IconButton icon="trash" small label={t("tools.removeArgument", { name: shown(one) })} onClick={() => set({ arguments: draft.arguments.filter((_, number) => number !== place), owner: draft.owner.filter((name) => name !== one.name) })} />
          </header>
          <div className={layout.fields}>
            <TextField label={t("tools.argumentName")} error={at(`arguments.${one.name}`) || undefined} value={one.name} maxLength={64} onChange={(event) => change(place, { name: event.target.value })} />
            {LANGUAGES.map((language) => (
              <TextField key={language} label={t("tools.argumentTitle", { language: languageName(language) })} value={one.titles[language] ?? (language === "en" ? (one.titles[""] ?? "") : "")} maxLength={100} onChange={(event) => change(place, { titles: { ...spread(one.titles), [language]: event.target.value } })} />
            ))}
            <Select label={t("tools.type")} value={one.type} options={TYPES.map((type) => ({ value: type, label: t(`tools.types.${type}`) }))} onChange={(event) => change(place, { type: event.target.value })} />
            {one.type === "string" && <TextField label={t("tools.pattern")} help={t("tools.patternHelp")} value={one.pattern} maxLength={500} onChange={(event) => change(place, { pattern: event.target.value })} />}
            {["string", "integer", "number"].includes(one.type) && <TextField label={t("tools.choices")} help={t("tools.choicesHelp")} value={one.choices} maxLength={2000} onChange={(event) => change(place, { choices: event.target.value })} />}
          </div>
          <Switch label={t("tools.required")} checked={one.required} onChange={(event) => change(place, { required: event.target.checked })} />
        </div>
      ))}
      <div>
        <Button small icon="plus" onClick={() => set({ arguments: [...draft.arguments, { name: "", titles: {}, type: "string", required: true, pattern: "", choices: "", rest: {} }] })}>
          {t("tools.addArgument")}
        </Button>
      </div>
    </fieldset>
  );
}

function How({ draft, set, at, tables }: PartProps & { tables: Tools["tables"] }): ReactNode {
  const { t } = useTranslation();
  return (
    <fieldset className={styles.part}>
      <legend>{t("tools.how")}</legend>
      <Choice<Kind>
        label={t("tools.how")}
        value={draft.kind}
        options={[
          { value: "sql", label: t("tools.kind.sql") },
          { value: "http", label: t("tools.kind.http") },
        ]}
        onChange={(kind) => set({ kind, changes: kind === "sql" ? false : draft.changes })}
      />
      {at("kind") && <p className={styles.faults}>{at("kind")}</p>}
      {draft.kind === "sql" ? (
        <div className={styles.code}>
          <TextArea label={t("tools.sql")} help={t("tools.sqlHelp")} error={at("sql") || at("database") || undefined} spellCheck={false} value={draft.sql} onChange={(event) => set({ sql: event.target.value })} />
          {Object.keys(tables).length > 0 && (
            <p className={layout.soft}>
              {t("tools.tablesThere")}{" "}
              {Object.entries(tables).map(([name, columns]) => (
                <code key={name}>
                  {name} ({columns.join(", ")}){" "}
                </code>
              ))}
            </p>
          )}
        </div>
      ) : (
        <Request draft={draft} set={set} at={at} />
      )}
    </fieldset>
  );
}

function Request({ draft, set, at }: PartProps): ReactNode {
  const { t } = useTranslation();
  const header = (place: number, part: Partial<{ name: string; value: string }>) => set({ headers: draft.headers.map((one, number) => (number === place ? { ...one, ...part } : one)) });
  return (
    <>
      <div className={layout.fields}>
        <Select label={t("tools.method")} error={at("http.method") || undefined} value={draft.method} options={METHODS.map((one) => ({ value: one, label: one }))} onChange={(event) => set({ method: event.target.value })} />
        <TextField label={t("tools.url")} help={t("tools.urlHelp")} error={at("http.url") || undefined} spellCheck={false} value={draft.url} onChange={(event) => set({ url: event.target.value })} />
      </div>
      {draft.headers.map((one, place) => (
        <div key={place} className={styles.pair}>
          <TextField label={t("tools.header")} error={at(`http.headers.${one.name}`) || undefined} value={one.name} onChange={(event) => header(place, { name: event.target.value })} />
          <TextField label={t("tools.headerValue")} spellCheck={false} value={one.value} onChange={(event) => header(place, { value: event.target.value })} />
          <IconButton icon="trash" label={t("tools.removeHeader", { name: one.name })} onClick={() => set({ headers: draft.headers.filter((_, number) => number !== place) })} />
        </div>
      ))}
      <div>
        <Button small icon="plus" onClick={() => set({ headers: [...draft.headers, { name: draft.headers.length ? "" : "Authorization", value: draft.headers.length ? "" : "Bearer ${SHOP_KEY}" }] })}>
          {t("tools.addHeader")}
        </Button>
      </div>
      {draft.method !== "GET" && (
        <div className={cx(styles.code, styles.short)}>
          <TextArea label={t("tools.body")} help={t("tools.bodyHelp")} error={at("http.body") || undefined} spellCheck={false} value={draft.body} onChange={(event) => set({ body: event.target.value })} />
        </div>
      )}
    </>
  );
}

function Consent({ draft, set, at }: PartProps): ReactNode {
  const { t } = useTranslation();
  const required = draft.arguments.filter((one) => one.required && one.name).map((one) => one.name);
  return (
    <fieldset className={styles.part}>
      <legend>{t("tools.consent")}</legend>
      <Switch label={t("tools.changesSwitch")} checked={draft.changes} disabled={draft.kind === "sql"} onChange={(event) => set({ changes: event.target.checked })} />
      {at("changes") && <p className={styles.faults}>{at("changes")}</p>}
      {draft.kind === "sql" && <p className={layout.soft}>{t("tools.sqlReads")}</p>}
      <Switch label={t("tools.asksSwitch")} checked={draft.changes || draft.asks} disabled={draft.changes} onChange={(event) => set({ asks: event.target.checked })} />
      {draft.changes && <p className={layout.soft}>{t("tools.alwaysAsks")}</p>}
      {required.length > 0 && (
        <Ticks
          label={t("tools.ownerTicks")}
          help={t("tools.ownerHelp")}
          error={at("owner") || undefined}
          options={required}
          named={(name) => shownIn(draft.arguments, name)}
          chosen={draft.owner}
          onChange={(owner) => set({ owner })}
        />
      )}
      {(draft.kind !== "sql" || draft.guard) && draft.owner.length > 0 && (
        <div className={cx(styles.code, styles.short)}>
          <TextArea label={t("tools.guard")} help={t("tools.guardHelp")} error={at("guard") || undefined} spellCheck={false} value={draft.guard} onChange={(event) => set({ guard: event.target.value })} />
        </div>
      )}
      <div className={styles.two}>
        {LANGUAGES.map((language) => (
          <TextField key={language} label={t("tools.answer", { language: languageName(language) })} help={language === "en" ? t("tools.answerHelp") : undefined} error={at(`answer.${language}`) || undefined} value={draft.answer[language] ?? (language === "en" ? (draft.answer[""] ?? "") : "")} onChange={(event) => set({ answer: { ...spread(draft.answer), [language]: event.target.value } })} />
        ))}
        {LANGUAGES.map((language) => (
          <TextField key={language} label={t("tools.nothingFound", { language: languageName(language) })} error={at(`nothing.${language}`) || undefined} value={draft.nothing[language] ?? (language === "en" ? (draft.nothing[""] ?? "") : "")} onChange={(event) => set({ nothing: { ...spread(draft.nothing), [language]: event.target.value } })} />
        ))}
      </div>
    </fieldset>
  );
}

function Examples({ draft, set, at }: PartProps): ReactNode {
  const { t } = useTranslation();
  const change = (place: number, part: Partial<ExampleDraft>) => set({ examples: draft.examples.map((one, number) => (number === place ? { ...one, ...part } : one)) });
  return (
    <fieldset className={styles.part}>
      <legend>{t("tools.examples")}</legend>
      <p className={layout.soft}>{t("tools.examplesAbout")}</p>
      {at("examples") && <p className={styles.faults}>{at("examples")}</p>}
      {draft.examples.map((one, place) => (
        <div key={place} className={layout.boxed} role="group" aria-label={t("tools.exampleNumber", { number: place + 1 })}>
          <header>
            <strong>
              <Marked message={one.message || t("tools.exampleNumber", { number: place + 1 })} values={one.arguments} />
            </strong>
            <IconButton icon="trash" small label={t("tools.removeExample", { number: place + 1 })} onClick={() => set({ examples: draft.examples.filter((_, number) => number !== place) })} />
          </header>
          <TextField
            label={t("tools.message")}
            maxLength={4000}
            value={one.message}
            onChange={(event) => change(place, { message: event.target.value })}
            onPaste={(event) => {
              const [first = "", ...more] = event.clipboardData.getData("text").split(/\s*\n\s*/).filter(Boolean);
              if (more.length === 0 || one.message) return;
              event.preventDefault();
              const added = [first, ...more].map((message) => ({ message, arguments: valuesIn(message, draft.arguments) }));
              set({ examples: [...draft.examples.slice(0, place), ...added, ...draft.examples.slice(place + 1)] });
            }}
          />
          {draft.arguments.length > 0 && (
            <div className={layout.fields}>
              {draft.arguments
                .filter((each) => each.name)
                .map((each) => (
                  <TextField key={each.name} label={shown(each)} placeholder={t("tools.notSaid")} value={one.arguments[each.name] ?? ""} onChange={(event) => change(place, { arguments: { ...one.arguments, [each.name]: event.target.value } })} />
                ))}
            </div>
          )}
        </div>
      ))}
      <div>
        <Button small icon="plus" onClick={() => set({ examples: [...draft.examples, { message: "", arguments: {} }] })}>
          {t("tools.addExample")}
        </Button>
      </div>
    </fieldset>
  );
}
