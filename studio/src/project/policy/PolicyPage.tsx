import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useMay } from "../../api/queries";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { TextArea } from "../../ui/Field";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import type { PolicyForm } from "./form";
import { HoursCard } from "./HoursCard";
import layout from "../../ui/Layout.module.css";
import styles from "./Policy.module.css";
import { type Policy, useCheckPolicy, usePolicy, useSavePolicy } from "./queries";
import { PrivacyCard } from "./PrivacyCard";
import { RulesCard } from "./RulesCard";
import { LimitsCard } from "./LimitsCard";
import { TextsCard } from "./TextsCard";
import { TryCard } from "./TryCard";

const CHECK_MS = 350;

/** The policy of a desk, as a form and as text, both in step. */
export function PolicyPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const policy = usePolicy(project);
  return (
    <>
      <PageTitle title={t("nav.policy")} about={t("policy.about")} />
      <Problem query={policy} />
      {!policy.data && !policy.error && <Skeleton label={t("common.loading")} />}
      {policy.data && <Editor key={policy.data.stamp} project={project} saved={policy.data} />}
    </>
  );
}

function Editor({ project, saved }: { project: string; saved: Policy }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const [shown, setShown] = useState<"form" | "text">(saved.form ? "form" : "text");
  const [policy, setPolicy] = useState(saved);
  const [form, setForm] = useState(saved.form as unknown as PolicyForm | null);
  const [text, setText] = useState(saved.text);
  const check = useCheckPolicy(project);
  const save = useSavePolicy(project);
  const [draft, setDraft] = useState<{ form: PolicyForm | null; text: string } | null>(null);
  const { mutate } = check;
  // The server turns a draft into its other form, once nothing was changed for a moment.
  useEffect(() => {
    if (draft === null) return;
    const timer = window.setTimeout(() => {
      mutate(
        { text: draft.text, form: draft.form as unknown as Record<string, unknown> | null, stamp: saved.stamp },
        {
          onSuccess: (found) => {
            setPolicy(found);
            if (draft.form) setText(found.text);
            else setForm(found.form as unknown as PolicyForm | null);
            setDraft((now) => (now === draft ? null : now));
          },
        },
      );
    }, CHECK_MS);
    return () => window.clearTimeout(timer);
  }, [draft, mutate, saved.stamp]);

  function change(next: PolicyForm): void {
    setForm(next);
    setDraft({ form: next, text });
  }

  const changed = text !== saved.text;
  const part = form && { form, set: change, policy, may };
  const stray = policy.mistakes.filter((one) => one.place === "" || shown === "text");
  return (
    <div className={layout.page}>
      <div className={styles.bar}>
        <Choice
          label={t("policy.view")}
          value={shown}
          options={[
            { value: "form", label: t("policy.form") },
            { value: "text", label: t("policy.text") },
          ]}
          onChange={setShown}
        />
        {changed && <Badge tone="accent">{t("policy.changed")}</Badge>}
        {policy.mistakes.length > 0 && <Badge tone="bad">{t("policy.wrong", { count: policy.mistakes.length })}</Badge>}
        {changed && (
          <Button
            small
            icon="undo"
            onClick={() => {
              setDraft(null);
              setPolicy(saved);
              setForm(saved.form as unknown as PolicyForm | null);
              setText(saved.text);
            }}
          >
            {t("policy.discard")}
          </Button>
        )}
        <Button kind="primary" busy={save.isPending} disabled={!may || !changed || draft !== null || policy.mistakes.length > 0} onClick={() => save.mutate({ text, stamp: saved.stamp })}>
          {t("common.save")}
        </Button>
      </div>
      <Problem query={{ error: save.error ?? check.error }} />
      {!policy.kept_comments && <Notice tone="warn">{t("tools.commentsLost")}</Notice>}
      {stray.length > 0 && (
        <Notice tone="bad">
          <ul>
            {stray.map((one, place) => (
              <li key={place}>
                {one.place && <code>{one.place}</code>} {told(one.text)}
              </li>
            ))}
          </ul>
        </Notice>
      )}
      {shown === "text" && (
        <Card title={t("policy.file")} note={t("policy.fileAbout")}>
          <div className={styles.text}>
            <TextArea
              label={t("policy.file")}
              spellCheck={false}
              readOnly={!may}
              value={text}
              onChange={(event) => {
                setText(event.target.value);
                setDraft({ form: null, text: event.target.value });
              }}
            />
          </div>
        </Card>
      )}
      {shown === "form" && !part && <Notice tone="warn">{t("policy.noForm")}</Notice>}
      {shown === "form" && part && (
        <>
          <RulesCard {...part} />
          <LimitsCard {...part} />
          <HoursCard {...part} />
          <PrivacyCard project={project} {...part} />
          <TextsCard {...part} />
        </>
      )}
      <TryCard project={project} policy={policy} text={text} />
    </div>
  );
}
