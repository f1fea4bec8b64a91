import { useMutation, useQuery } from "@tanstack/react-query";
import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";

import { api, body } from "../../api/client";
import { useMay } from "../../api/queries";
import type { components } from "../../api/schema";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { CodeBlock } from "../../ui/Code";
import { Badge, Notice } from "../../ui/Feedback";
import { Select, TextArea } from "../../ui/Field";
import layout from "../../ui/Layout.module.css";
import { Problem } from "../../ui/Problem";
import styles from "./TryCode.module.css";

type Explained = components["schemas"]["ErrorExplanation"];
type Line = components["schemas"]["CodeLine"];

const TRACEBACK = 'Traceback (most recent call last):\n  File "shop.py", line 6, in total\n    …\nKeyError: \'bunn\'';

function useFiles(project: string) {
  return useQuery({ queryKey: ["files", project, "code"], queryFn: () => body(api.GET("/api/v1/projects/{project}/code", { params: { path: { project } } })) });
}

/** Lines of a file with their numbers; one of them marked. */
function numbered(lines: readonly Line[], marked?: number): string {
  const width = String(lines.at(-1)?.number ?? 0).length;
  return lines.map((line) => `${line.number === marked ? ">" : " "} ${String(line.number).padStart(width)}  ${line.text}`).join("\n");
}

/** Explain a traceback with the project's own files. Nothing is run. */
export function ExplainError({ project }: { project: string }): ReactNode {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const ask = useMutation({ mutationFn: (wanted: string) => body(api.POST("/api/v1/projects/{project}/code/explain", { params: { path: { project } }, body: { text: wanted } })) });
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    ask.mutate(text);
  }
  return (
    <Card title={t("tryCode.explain.title")} note={t("tryCode.explain.about")}>
      <form onSubmit={submit} className={styles.form}>
        <TextArea rows={8} spellCheck={false} label={t("tryCode.explain.text")} placeholder={TRACEBACK} value={text} maxLength={200_000} onChange={(event) => setText(event.target.value)} />
        <Button kind="primary" type="submit" busy={ask.isPending} disabled={!text.trim()}>
          {t("tryCode.explain.go")}
        </Button>
      </form>
      <Problem query={{ error: ask.error }} />
      <div aria-live="polite" className={layout.stack}>
        {ask.data?.map((error, place) => <OneError key={place} error={error} />)}
      </div>
    </Card>
  );
}

function OneError({ error }: { error: Explained }): ReactNode {
  const { t } = useTranslation();
  return (
    <section className={layout.close}>
      {error.link && <p className={styles.soft}>{t(`tryCode.explain.${error.link.startsWith("this") ? "led" : "while"}`)}</p>}
      <p className={styles.error}>
        {error.error}
        {error.message && `: ${error.message}`}
      </p>
      {error.causes.length > 0 && (
        <ul className={styles.causes} lang="en">
          {error.causes.map((cause, place) => (
            <li key={place}>{cause}</li>
          ))}
        </ul>
      )}
      {error.causes.length === 0 && <p className={styles.soft}>{t("tryCode.explain.unknown")}</p>}
      {error.places.map((place, number) => (
        <div key={number} className={layout.close}>
          <p className={styles.soft}>
            {t(number === 0 ? "tryCode.explain.at" : "tryCode.explain.from", { place: `${place.file}:${place.line}` })}
            {place.function && ` · ${place.function}`}
          </p>
          {place.lines.length > 0 && <CodeBlock code={numbered(place.lines, place.line)} label={`${place.file}:${place.line}`} />}
        </div>
      ))}
      {error.remarks.map((remark, place) => (
        <p key={place} className={styles.soft}>
          {told(remark)}
        </p>
      ))}
    </section>
  );
}

/** Tests of a function, shown only after they ran, held twice and noticed a fault. */
export function WriteTests({ project, model }: { project: string; model: string }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const files = useFiles(project);
  const able = files.data?.filter((file) => file.functions.length > 0 && !file.tests) ?? [];
  const [file, setFile] = useState("");
  const [name, setName] = useState("");
  const chosen = able.find((one) => one.path === file) ?? able[0];
  const subject = chosen?.functions.includes(name) ? name : (chosen?.functions[0] ?? "");
  const ask = useMutation({ mutationFn: (wanted: { file: string; function: string }) => body(api.POST("/api/v1/projects/{project}/models/{model}/code/tests", { params: { path: { project, model } }, body: wanted })) });
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    if (chosen) ask.mutate({ file: chosen.path, function: subject });
  }
  const made = ask.data;
  const thrown = Object.entries(made?.thrown ?? {});
  return (
    <Card title={t("tryCode.tests.title")} note={t("tryCode.tests.about")}>
      <Problem query={files} />
      {files.data && !chosen && <Notice>{t("tryCode.noFunctions")}</Notice>}
      {chosen && (
        <form onSubmit={submit} className={styles.form}>
          <div className={layout.fields}>
            <Select label={t("tryCode.file")} value={chosen.path} options={able.map((one) => ({ value: one.path, label: one.path }))} onChange={(event) => setFile(event.target.value)} />
            <Select label={t("tryCode.function")} value={subject} options={chosen.functions.map((one) => ({ value: one, label: one }))} onChange={(event) => setName(event.target.value)} />
          </div>
          <Button kind="primary" type="submit" busy={ask.isPending} disabled={!may}>
            {t("tryCode.tests.go")}
          </Button>
          {ask.isPending && <p className={styles.soft}>{t("tryCode.tests.busy")}</p>}
        </form>
      )}
      <Problem query={{ error: ask.error }} />
      <div aria-live="polite" className={layout.close}>
        {made && !made.code && <Notice tone="warn">{t("tryCode.tests.none")}</Notice>}
        {made?.code && (
          <>
            <CodeBlock code={made.code} label={t("tryCode.tests.title")} copy />
            <p>{t("tryCode.tests.noticed", { count: made.tests, noticed: formatNumber(made.noticed), faults: formatNumber(made.faults) })}</p>
            <p className={styles.soft}>{t("tryCode.tests.today")}</p>
          </>
        )}
        {thrown.length > 0 && (
          <>
            <p className={styles.soft}>{t("tryCode.tests.thrown")}</p>
            <ul className={styles.causes}>
              {thrown.map(([why, count]) => (
                <li key={why} className={styles.soft}>
                  {formatNumber(count)} × {told(why)}
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
    </Card>
  );
}

/** The likeliest lines of a bug, and changes of one line with which every test passes. */
export function FindBug({ project, model }: { project: string; model: string }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const files = useFiles(project);
  const able = files.data?.filter((file) => !file.tests && !file.path.endsWith("__init__.py")) ?? [];
  const tests = files.data?.filter((file) => file.tests) ?? [];
  const [file, setFile] = useState("");
  const [test, setTest] = useState("");
  const [given, setGiven] = useState("");
  const chosen = able.find((one) => one.path === file) ?? able[0];
  const ask = useMutation({ mutationFn: (wanted: components["schemas"]["BugSearch"]) => body(api.POST("/api/v1/projects/{project}/models/{model}/code/bug", { params: { path: { project, model } }, body: wanted })) });
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    if (chosen) ask.mutate({ file: chosen.path, tests: test ? [test] : [], given });
  }
  return (
    <Card title={t("tryCode.bug.title")} note={t("tryCode.bug.about")}>
      <Problem query={files} />
      {files.data && !chosen && <Notice>{t("tryCode.noPython")}</Notice>}
      {chosen && (
        <form onSubmit={submit} className={styles.form}>
          <div className={layout.fields}>
            <Select label={t("tryCode.bug.file")} value={chosen.path} options={able.map((one) => ({ value: one.path, label: one.path }))} onChange={(event) => setFile(event.target.value)} />
            {tests.length > 0 && <Select label={t("tryCode.bug.test")} value={test} options={[{ value: "", label: t("tryCode.bug.noTest") }, ...tests.map((one) => ({ value: one.path, label: one.path }))]} onChange={(event) => setTest(event.target.value)} />}
          </div>
          <TextArea rows={6} spellCheck={false} label={t(tests.length > 0 ? "tryCode.bug.orGiven" : "tryCode.bug.given")} help={t("tryCode.bug.givenHelp")} placeholder={"from shop import total\n\n\ndef test_total():\n    assert total([2, 3]) == 5"} value={given} maxLength={200_000} onChange={(event) => setGiven(event.target.value)} />
          <Button kind="primary" type="submit" busy={ask.isPending} disabled={!may || (!test && !given.trim())}>
            {t("tryCode.bug.go")}
          </Button>
          {ask.isPending && <p className={styles.soft}>{t("tryCode.bug.busy")}</p>}
        </form>
      )}
      <Problem query={{ error: ask.error }} />
      <div aria-live="polite">{ask.data && <Found found={ask.data} />}</div>
      <p className={styles.soft}>{t("tryCode.bug.measured")}</p>
    </Card>
  );
}

function Found({ found }: { found: components["schemas"]["BugTraces"] }): ReactNode {
  const { t } = useTranslation();
  const count = found.failing.length + found.passing;
  return (
    <div className={layout.stack}>
      <div className={layout.close}>
        <h3>{t("tryCode.bug.failing", { failing: formatNumber(found.failing.length), count: formatNumber(count) })}</h3>
        <ul className={styles.causes}>
          {found.failing.slice(0, 5).map((one) => (
            <li key={one.name}>
              <code>{one.name}</code> {one.said && <code className={styles.soft}>{one.said}</code>}
            </li>
          ))}
        </ul>
      </div>
      <div className={layout.close}>
        <h3>{t("tryCode.bug.lines", { file: found.file })}</h3>
        <CodeBlock code={numbered(found.suspects)} label={t("tryCode.bug.lines", { file: found.file })} />
      </div>
      {found.repairs.length === 0 && <Notice tone="warn">{t("tryCode.bug.none", { count: found.tried, tried: formatNumber(found.tried) })}</Notice>}
      {found.repairs.map((repair, place) => (
        <div key={place} className={layout.close}>
          <p className={layout.row}>
            <Badge tone="good">{t("tryCode.bug.passes", { count, shown: formatNumber(count) })}</Badge>
            <code>
              {found.file}:{repair.line}
            </code>
          </p>
          <CodeBlock code={[...(repair.before ? [`- ${repair.before}`] : []), `+ ${repair.after}`].join("\n")} label={t("tryCode.bug.change")} copy={false} />
        </div>
      ))}
      {found.repairs.length > 0 && (
        <p className={styles.soft}>
          {t("tryCode.bug.notRight")} {found.others > 0 && t("tryCode.bug.others", { count: found.others, shown: formatNumber(found.others) })}
        </p>
      )}
    </div>
  );
}
