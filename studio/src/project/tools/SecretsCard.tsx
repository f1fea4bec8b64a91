import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../../api/queries";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge } from "../../ui/Feedback";
import { TextField, Ticks } from "../../ui/Field";
import { FileButton } from "../../ui/FileDrop";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { useFiles, useMaterial } from "../files/queries";
import { type Tools, useSaveDatabase, useSaveSecret, useSendDatabase } from "./queries";
import layout from "../../ui/Layout.module.css";
import styles from "./Tools.module.css";

/** What tools reach: their database, and the variables whose values are secret. No value is ever shown. */
export function SecretsCard({ project, tools }: { project: string; tools: Tools }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("manage");
  const save = useSaveSecret(project);
  const [open, setOpen] = useState<string | null>(null);
  const names = Object.entries(tools.secrets);
  return (
    <Card
      title={t("tools.reach")}
      note={t("tools.reachAbout")}
      actions={
        may && (
          <Button small icon="key" onClick={() => setOpen("")}>
            {t("tools.newSecret")}
          </Button>
        )
      }
    >
      <Database project={project} tools={tools} />
      {names.length > 0 && (
        <ul className={styles.secrets}>
          {names.map(([name, there]) => (
            <li key={name}>
              <code>{name}</code>
              <Badge tone={there ? "good" : "warn"}>{t(there ? "tools.isSet" : "tools.isNotSet")}</Badge>
              {may && (
                <Button small onClick={() => setOpen(name)}>
                  {t(there ? "tools.replace" : "tools.set")}
                </Button>
              )}
              {may && there && (
                <Button small kind="quiet" busy={save.isPending && save.variables.name === name} onClick={() => save.mutate({ name, value: "" })}>
                  {t("tools.removeSecret")}
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      {!may && <p className={layout.soft}>{t("tools.ownerOnly")}</p>}
      {open !== null && <Secret key={open} project={project} name={open} onClose={() => setOpen(null)} />}
    </Card>
  );
}

function Secret({ project, name: given, onClose }: { project: string; name: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const save = useSaveSecret(project);
  const [name, setName] = useState(given);
  const [value, setValue] = useState("");
  return (
    <Dialog open onClose={onClose} title={given || t("tools.newSecret")} about={t("tools.secretAbout")}>
      <form
        className={layout.page}
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate({ name: name.trim(), value }, { onSuccess: onClose });
        }}
      >
        {!given && <TextField label={t("tools.secretName")} help={t("tools.secretNameHelp")} required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />}
        <TextField label={t("tools.secretValue")} type="password" autoComplete="off" required maxLength={4096} value={value} onChange={(event) => setValue(event.target.value)} />
        <Problem query={{ error: save.error }} />
        <div className={layout.row}>
          <Button type="submit" kind="primary" busy={save.isPending} disabled={!name.trim() || !value.trim()}>
            {t("common.save")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Database({ project, tools }: { project: string; tools: Tools }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const save = useSaveDatabase(project);
  const send = useSendDatabase(project);
  const [typed, setTyped] = useState<string | null>(null);
  const [chosen, setChosen] = useState<readonly string[] | null>(null);
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  const kinds = useMaterial(project).data?.kinds ?? [];
  const files = useFiles(project).data ?? [];
  const tables = files.map((file) => file.name).filter((name) => name.endsWith(".csv") && !kinds.some((kind) => kind.kind === "documents" && name.startsWith(`${kind.name}/`)));
  const ticked = chosen ?? tables.filter((name) => kinds.some((kind) => (kind.kind === "orders" || kind.kind === "catalogue") && kind.name === name));
  return (
    <div className={styles.secrets}>
      <div className={layout.row}>
        <span className={layout.soft}>{t("tools.database")}</span>
        <code>{tools.database || t("tools.noDatabase")}</code>
        {may && (
          <Button small onClick={() => setOpen(true)}>
            {t("tools.chooseDatabase")}
          </Button>
        )}
      </div>
      <Dialog open={open} onClose={close} title={t("tools.database")} about={t("tools.databaseAbout")}>
        <div className={layout.page}>
          <div className={styles.part}>
            <p className={layout.soft}>{t("tools.sendDatabaseAbout")}</p>
            <div className={layout.row}>
              <FileButton label={t("tools.sendDatabase")} accept=".sqlite3,.sqlite,.db,.db3" busy={send.isPending} onFile={(file) => send.mutate({ file, stamp: tools.stamp }, { onSuccess: close })} />
            </div>
            <Problem query={{ error: send.error }} />
          </div>
          {tables.length > 0 && (
            <form
              className={styles.part}
              onSubmit={(event) => {
                event.preventDefault();
                save.mutate({ url: "", tables: [...ticked], stamp: tools.stamp }, { onSuccess: close });
              }}
            >
              <Ticks label={t("tools.tables")} help={t("tools.tablesHelp")} options={tables} chosen={ticked} onChange={setChosen} />
              <div className={layout.row}>
                <Button type="submit" busy={save.isPending} disabled={ticked.length === 0}>
                  {t("tools.makeDatabase")}
                </Button>
              </div>
            </form>
          )}
          <form
            className={styles.part}
            onSubmit={(event) => {
              event.preventDefault();
              save.mutate({ url: (typed ?? tools.database).trim(), tables: [], stamp: tools.stamp }, { onSuccess: close });
            }}
          >
            <TextField label={t("tools.databaseUrl")} help={t("tools.databaseUrlHelp")} value={typed ?? tools.database} onChange={(event) => setTyped(event.target.value)} />
            <div className={layout.row}>
              <Button type="submit" busy={save.isPending} disabled={!(typed ?? tools.database).trim()}>
                {t("tools.useDatabase")}
              </Button>
            </div>
          </form>
          <Problem query={{ error: save.error }} />
        </div>
      </Dialog>
    </div>
  );
}
