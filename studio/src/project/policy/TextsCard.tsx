import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { languageName } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge } from "../../ui/Feedback";
import { Select, TextArea, TextField } from "../../ui/Field";
import { LANGUAGES, type PolicyPart, textsAt } from "./form";
import layout from "../../ui/Layout.module.css";
import styles from "./Policy.module.css";

const NAME = /^[a-z][a-z0-9_]{0,40}$/;

/** What the desk says in fixed words: its own texts in other words, and texts that a step says. */
export function TextsCard({ form, set, policy, may }: PolicyPart): ReactNode {
  const { t } = useTranslation();
  const [name, setName] = useState("");
  const own = Object.keys(policy.texts).filter((one) => !(one in form.texts));
  const put = (which: string, words: Record<string, string> | null) => {
    const others = Object.fromEntries(Object.entries(form.texts).filter(([one]) => one !== which));
    set({ ...form, texts: words === null ? others : { ...form.texts, [which]: words } });
  };
  const fresh = name.trim();
  const wrong = fresh !== "" && (!NAME.test(fresh) || fresh in form.texts);
  return (
    <Card title={t("policy.texts")} note={t("policy.textsAbout")}>
      {Object.entries(form.texts).map(([which, words]) => (
        <section key={which} className={styles.words} aria-label={which}>
          <header>
            <code>{which}</code>
            {which in policy.texts && <Badge>{t("policy.replaces")}</Badge>}
            <IconButton icon="trash" small label={t("policy.removeText", { name: which })} disabled={!may} onClick={() => put(which, null)} />
          </header>
          <div className={layout.fields}>
            {LANGUAGES.filter((language) => form.languages.includes(language) || language in words).map((language) => (
              <TextArea key={language} label={languageName(language)} rows={2} maxLength={2000} disabled={!may} value={words[language] ?? ""} placeholder={policy.texts[which]?.[language]} onChange={(event) => put(which, spoken({ ...words, [language]: event.target.value }))} />
            ))}
          </div>
          {textsAt(policy.mistakes, `texts.${which}`) && <p className={styles.fault}>{told(textsAt(policy.mistakes, `texts.${which}`))}</p>}
        </section>
      ))}
      {policy.mistakes
        .filter((one) => one.place.startsWith("texts.") && !(one.place.split(".")[1] ?? "" in form.texts))
        .map((one) => (
          <p key={one.place} className={styles.fault}>
            <code>{one.place.split(".")[1]}</code>: {told(one.text)}
          </p>
        ))}
      <div className={styles.words}>
        <div className={layout.fields}>
          <Select label={t("policy.replaceText")} value="" disabled={!may} options={[{ value: "", label: t("policy.chooseText") }, ...own.map((one) => ({ value: one, label: `${one}: ${policy.texts[one]?.en ?? ""}`.slice(0, 90) }))]} onChange={(event) => event.target.value && put(event.target.value, { ...policy.texts[event.target.value] })} />
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (fresh === "" || wrong) return;
              put(fresh, { en: "" });
              setName("");
            }}
          >
            <TextField label={t("policy.newText")} help={t("policy.newTextHelp")} error={wrong ? t("policy.textName") : undefined} maxLength={41} disabled={!may} value={name} onChange={(event) => setName(event.target.value)} />
            <Button small type="submit" icon="plus" disabled={!may || fresh === "" || wrong}>
              {t("policy.addText")}
            </Button>
          </form>
        </div>
      </div>
    </Card>
  );
}

function spoken(words: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(words).filter(([, text]) => text !== ""));
}
