import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useMay } from "../../api/queries";
import { formatTime } from "../../i18n";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Choice } from "../../ui/Choice";
import { CodeBlock, CopyButton } from "../../ui/Code";
import { Badge, Notice } from "../../ui/Feedback";
import { TextField } from "../../ui/Field";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { type Key, type Serving, useKeys, useMakeKey, useRevokeKey } from "./queries";
import styles from "./Run.module.css";

const LANGUAGES = ["curl", "python", "javascript", "openai"] as const;
type Language = (typeof LANGUAGES)[number];

/** How programs call the model: lines to paste, and the keys that they need. */
export function CallCard({ project, serving }: { project: string; serving: Serving }): ReactNode {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const wanted = search.get("code");
  const language: Language = LANGUAGES.find((name) => name === wanted) ?? "curl";
  const code = serving.snippets[language];
  const may = useMay("serve");
  return (
    <Card title={t("run.call")} note={t("run.callAbout")}>
      <div className={styles.call}>
        <Choice
          label={t("run.language")}
          value={language}
          options={LANGUAGES.map((name) => ({ value: name, label: t(`run.code.${name}`) }))}
          onChange={(name) => setSearch((before) => new URLSearchParams({ ...Object.fromEntries(before), code: name }), { replace: true })}
        />
        {code ? <CodeBlock code={code} label={t(`run.code.${language}`)} copy /> : <Notice>{t("run.callLater")}</Notice>}
        {code && serving.keyed && <p className={styles.soft}>{t("run.keyPlace")}</p>}
        {may && <Keys project={project} keyed={serving.keyed} />}
      </div>
    </Card>
  );
}

function Keys({ project, keyed }: { project: string; keyed: boolean }): ReactNode {
  const { t } = useTranslation();
  const keys = useKeys(project, true);
  const revoke = useRevokeKey(project);
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState<Key | null>(null);
  const known = keys.data ?? [];
  return (
    <section className={styles.keys} aria-label={t("run.keys")}>
      <header>
        <div>
          <h3>{t("run.keys")}</h3>
          <p className={styles.soft}>{keyed ? t("run.keysAbout") : t("run.keysNone")}</p>
        </div>
        <Button small icon="key" onClick={() => setMaking(true)}>
          {t("run.newKey")}
        </Button>
      </header>
      <Problem query={keys} />
      <Problem query={{ error: revoke.error }} />
      {known.length > 0 && (
        <ul>
          {known.map((key) => (
            <li key={key.id}>
              <strong>{key.name}</strong>
              <span className={styles.soft}>{t("run.keyFacts", { author: key.author, when: formatTime(new Date(key.created * 1000).toISOString()) })}</span>
              {key.revoked === null ? (
                <Button small kind="quiet" onClick={() => setEnding(key)}>
                  {t("run.revoke")}
                </Button>
              ) : (
                <Badge>{t("run.revoked")}</Badge>
              )}
            </li>
          ))}
        </ul>
      )}
      {making && <NewKey project={project} first={!keyed} onClose={() => setMaking(false)} />}
      <Dialog
        open={ending !== null}
        onClose={() => setEnding(null)}
        title={t("run.revokeTitle", { name: ending?.name ?? "" })}
        about={t("run.revokeAbout")}
        foot={
          <>
            <Button onClick={() => setEnding(null)}>{t("common.cancel")}</Button>
            <Button
              kind="danger"
              busy={revoke.isPending}
              onClick={() => {
                if (ending) revoke.mutate(ending.id, { onSettled: () => setEnding(null) });
              }}
            >
              {t("run.revoke")}
            </Button>
          </>
        }
      />
    </section>
  );
}

function NewKey({ project, first, onClose }: { project: string; first: boolean; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const make = useMakeKey(project);
  const [name, setName] = useState("");
  if (make.data) {
    return (
      <Dialog open onClose={onClose} title={t("run.keyMade")} about={t("run.keyMadeAbout")} foot={<Button kind="primary" onClick={onClose}>{t("run.keyDone")}</Button>}>
        <div className={styles.made}>
          <code>{make.data.key}</code>
          <CopyButton text={make.data.key} />
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog open onClose={onClose} title={t("run.newKey")} about={t("run.newKeyAbout")}>
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate(name.trim());
        }}
      >
        <TextField label={t("run.keyName")} placeholder={t("run.keyNameExample")} required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} />
        {first && <Notice tone="warn">{t("run.firstKey")}</Notice>}
        <Problem query={{ error: make.error }} />
        <div className={styles.go}>
          <Button type="submit" kind="primary" busy={make.isPending} disabled={name.trim() === ""}>
            {t("run.makeKey")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
