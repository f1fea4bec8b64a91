import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useMay, useProject } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { Button, ButtonLink } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Notice, Skeleton } from "../../ui/Feedback";
import { Select, TextArea } from "../../ui/Field";
import { FileButton } from "../../ui/FileDrop";
import { Dialog, useToast } from "../../ui/Overlay";
import layout from "../../ui/Layout.module.css";
import { Problem } from "../../ui/Problem";
import { Disclosure } from "../../ui/SchemaForm";
import { PageTitle } from "../../ui/Shell";
import { sendFile, useDeleteFile, useFilesChanged } from "../documents/queries";
import { pageOfKind } from "../pages";
import styles from "./Files.module.css";
import { type KindState, type ProjectFile, type TableColumns, useAddFile, useChooseColumns, useColumns, useFiles, useFileText, useMaterial, useSaveText } from "./queries";

const ROLES = ["user", "item", "time", "input", "label"] as const;
const MOST_EDITED = 2_000_000;

/** Kinds that are folders of many files, and have a page of their own. */
const FOLDERS: readonly string[] = ["documents", "repository"];

/** Everything that a project of files consists of: by kind, and file by file. */
export function FilesPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const material = useMaterial(project);
  const files = useFiles(project);
  const [open, setOpen] = useState<string | null>(null);
  const [gone, setGone] = useState<ProjectFile | null>(null);
  const [all, setAll] = useState(false);
  return (
    <>
      <PageTitle title={t("nav.files")} about={t("files.about")} />
      <div className={layout.page}>
        <Problem query={material} />
        {!material.data && !material.error && <Skeleton label={t("common.loading")} />}
        {material.data && (
          <Card>
            <ul className={styles.list}>
              {material.data.kinds.map((kind) => (
                <Kind key={kind.kind} project={project} kind={kind} onOpen={() => setOpen(kind.name)} />
              ))}
            </ul>
          </Card>
        )}
        {files.data && (
          <Disclosure title={t("files.others")} note={<Badge>{formatNumber(files.data.length)}</Badge>} open={all} onToggle={setAll}>
            <ul className={styles.list}>
              {files.data.map((file) => (
                <Line key={file.name} project={project} file={file} onOpen={() => setOpen(file.name)} onDelete={() => setGone(file)} />
              ))}
            </ul>
            <AddFile project={project} files={files.data} />
          </Disclosure>
        )}
        {gone && <DeleteFile project={project} file={gone} onClose={() => setGone(null)} />}
        {open !== null && <EditFile key={open} project={project} name={open} onClose={() => setOpen(null)} />}
      </div>
    </>
  );
}

function Kind({ project, kind, onOpen }: { project: string; kind: KindState; onOpen: () => void }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const toast = useToast();
  const changed = useFilesChanged(project);
  const found = useProject(project).data;
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const columns = useColumns(project).data?.find((one) => one.kind === kind.kind);
  const page = found ? pageOfKind(found, kind.kind) : "files";

  async function replace(file: File): Promise<void> {
    setBusy(true);
    setError(null);
    try {
      await sendFile(project, kind.kind, file.name, file);
      toast({ text: t("files.replaced") });
    } catch (caught) {
      setError(caught as Error);
    }
    setBusy(false);
    await changed();
  }

  return (
    <li className={styles.kind}>
      <div className={styles.what}>
        <h2>
          {t(`files.kind.${kind.kind}`)} {kind.needed && kind.entries === 0 && <Badge tone="warn">{t("files.needed")}</Badge>}
        </h2>
        <p>{t(`files.kindAbout.${kind.kind}`)}</p>
        <p className={styles.facts}>
          <code>{kind.name}</code> {kind.entries === 0 ? t("files.empty") : t("files.entries", { count: kind.entries, shown: formatNumber(kind.entries) })}
        </p>
        <Problem query={{ error }} />
        {columns && <Columns project={project} table={columns} />}
      </div>
      <div className={styles.buttons}>
        {page !== "files" && (
          <ButtonLink small to={`/projects/${project}/${page}`}>
            {t(`nav.${page}`)}
          </ButtonLink>
        )}
        {!FOLDERS.includes(kind.kind) && kind.files > 0 && (
          <Button small icon="pencil" onClick={onOpen}>
            {t("files.edit")}
          </Button>
        )}
        {!FOLDERS.includes(kind.kind) && may && <FileButton small label={t(kind.files > 0 ? "files.replace" : "files.add")} accept=".csv,.tsv,.jsonl,.toml,.json,.xlsx" busy={busy} onFile={(file) => void replace(file)} />}
      </div>
    </li>
  );
}

/** The columns of a table: what was chosen, and what was guessed, which can be changed. */
function Columns({ project, table }: { project: string; table: TableColumns }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const choose = useChooseColumns(project);
  return (
    <fieldset className={styles.columns}>
      <legend className="visually-hidden">{t("files.columns")}</legend>
      {ROLES.filter((role) => role in table.chosen).map((role) => {
        const column = table.chosen[role] ?? "";
        const needed = !table.optional.includes(role) && !column;
        const none = { value: "", label: t(needed ? "files.chooseColumn" : "files.noColumn") };
        return (
          <Select
            key={role}
            label={t(`files.role.${role}`)}
            help={table.guessed.includes(role) ? t("files.guessed") : undefined}
            error={needed ? t("files.chooseColumn") : undefined}
            disabled={!may || choose.isPending}
            value={column}
            options={[...(needed || table.optional.includes(role) ? [none] : []), ...table.columns.map((name) => ({ value: name, label: name }))]}
            onChange={(event) => choose.mutate({ kind: table.kind, chosen: { [role]: event.target.value } })}
          />
        );
      })}
      <Problem query={choose} />
    </fieldset>
  );
}

function Line({ project, file, onOpen, onDelete }: { project: string; file: ProjectFile; onOpen: () => void; onDelete: () => void }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  return (
    <li className={styles.line}>
      <code>{file.name}</code>
      <span className={styles.facts}>{t("files.size", { kb: formatNumber(file.size / 1_000, { maximumSignificantDigits: 2 }) })}</span>
      <a href={`/api/v1/projects/${project}/files/content?${new URLSearchParams({ name: file.name })}`} download>
        {t("documents.download")}
      </a>
      <Button small kind="quiet" disabled={file.size > MOST_EDITED} onClick={onOpen}>
        {t("files.edit")}
      </Button>
      {may && <Button small kind="quiet" icon="trash" aria-label={t("documents.deleteTitle", { name: file.name })} onClick={onDelete} />}
    </li>
  );
}

/** The text of a file; null if it is none in UTF-8, whose letters would be lost. */
async function textOf(file: File): Promise<string | null> {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await file.arrayBuffer());
  } catch {
    return null;
  }
}

/** A text file from this computer, under a name that no file has yet. */
function AddFile({ project, files }: { project: string; files: readonly ProjectFile[] }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const add = useAddFile(project);
  const [refused, setRefused] = useState<{ name: string; why: "there" | "notText" } | null>(null);
  if (!may) return null;
  async function take(file: File): Promise<void> {
    const { name } = file;
    const known = files.some((one) => one.name === name);
    const text = known ? null : await textOf(file);
    setRefused(text === null ? { name, why: known ? "there" : "notText" } : null);
    add.reset();
    if (text !== null) add.mutate({ name, text });
  }
  return (
    <div className={layout.stack}>
      {refused && (refused.why === "notText" || files.some((one) => one.name === refused.name)) && <Notice tone="bad">{t(`files.${refused.why}`, { name: refused.name })}</Notice>}
      <Problem query={add} />
      <div>
        <FileButton small label={t("files.add")} accept=".toml,.json,.jsonl,.csv,.tsv,.txt,.md" busy={add.isPending} onFile={(file) => void take(file)} />
      </div>
    </div>
  );
}

function DeleteFile({ project, file, onClose }: { project: string; file: ProjectFile; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const remove = useDeleteFile(project);
  return (
    <Dialog open onClose={onClose} title={t("documents.deleteTitle", { name: file.name })} about={t("documents.deleteAbout")}>
      {file.named && <Notice tone="warn">{t("files.named")}</Notice>}
      <Problem query={remove} />
      <Button kind="danger" icon="trash" busy={remove.isPending} onClick={() => remove.mutate(file.name, { onSuccess: onClose })}>
        {t("common.delete")}
      </Button>
    </Dialog>
  );
}

function EditFile({ project, name, onClose }: { project: string; name: string; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const toast = useToast();
  const held = useFileText(project, name);
  const save = useSaveText(project, name);
  const [text, setText] = useState<string | null>(null);
  const shown = text ?? held.data?.text ?? "";
  return (
    <Dialog open wide onClose={onClose} title={name} about={t("files.editAbout")}>
      <Problem query={held} />
      {held.isPending && <Skeleton label={t("common.loading")} />}
      {held.data && (
        <div className={styles.editor}>
          <TextArea label={t("files.textOf", { name })} rows={22} spellCheck={false} readOnly={!may} value={shown} onChange={(event) => setText(event.target.value)} />
        </div>
      )}
      <Problem query={{ error: save.error }} />
      {may && held.data && (
        <Button
          kind="primary"
          disabled={text === null || text === held.data.text}
          busy={save.isPending}
          onClick={() =>
            save.mutate(shown, {
              onSuccess: () => {
                toast({ text: t("files.saved") });
                onClose();
              },
            })
          }
        >
          {t("common.save")}
        </Button>
      )}
    </Dialog>
  );
}
