import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { useMay } from "../../api/queries";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Badge, Skeleton } from "../../ui/Feedback";
import { Icon } from "../../ui/icons";
import { Dialog, Menu } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import styles from "./Documents.module.css";
import { type DocumentFile, useDeleteFile, usePassages } from "./queries";

const SHOWN = 40;

/** The files of documents; each opens to its passages. */
export function DocumentList({ project, files }: { project: string; files: readonly DocumentFile[] }): ReactNode {
  const { t } = useTranslation();
  const [open, setOpen] = useState<string | null>(null);
  const [most, setMost] = useState(SHOWN);
  const [doomed, setDoomed] = useState<DocumentFile | null>(null);
  return (
    <>
      <ul className={styles.files}>
        {files.slice(0, most).map((file) => (
          <li key={file.name}>
            <FileRow file={file} project={project} open={open === file.name} onOpen={() => setOpen(open === file.name ? null : file.name)} onDelete={() => setDoomed(file)} />
            {open === file.name && <Passages project={project} name={file.name} />}
          </li>
        ))}
      </ul>
      {files.length > most && (
        <Button kind="quiet" onClick={() => setMost(most + 200)}>
          {t("documents.more", { count: files.length - most })}
        </Button>
      )}
      {doomed && <DeleteDocument project={project} file={doomed} onClose={() => setDoomed(null)} />}
    </>
  );
}

/** A file's name within the documents. */
export function shortName(name: string): string {
  return name.replace(/^(?:[^/]+\/)*?documents\//, "");
}

function FileRow({ file, project, open, onOpen, onDelete }: { file: DocumentFile; project: string; open: boolean; onOpen: () => void; onDelete: () => void }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const download = `/api/v1/projects/${project}/files/content?${new URLSearchParams({ name: file.name })}`;
  const items = [
    { label: t("documents.download"), icon: "download" as const, onSelect: () => window.location.assign(download) },
    ...(may ? [{ label: t("common.delete"), icon: "trash" as const, danger: true, onSelect: onDelete }] : []),
  ];
  return (
    <div className={styles.file}>
      <button type="button" className={styles.open} aria-expanded={open} disabled={file.passages === 0} onClick={onOpen}>
        <Icon name={file.problem ? "warning" : "doc"} />
        <span className={styles.names}>
          <strong>{shortName(file.name)}</strong>
          {file.problem ? <span className={styles.problem}>{t("documents.notRead", { reason: told(file.problem) })}</span> : <span>{file.title}</span>}
        </span>
        {!file.problem && (
          <span className={styles.counts}>
            {file.documents > 1 && <Badge>{t("documents.count", { count: file.documents })}</Badge>}
            <span>{t("documents.passages", { count: file.passages, shown: formatNumber(file.passages) })}</span>
            {file.pages !== null && <span>{t("documents.pages", { count: file.pages })}</span>}
            <Icon name={open ? "down" : "right"} size={14} />
          </span>
        )}
      </button>
      <Menu trigger={<IconButton icon="more" small label={t("documents.actions", { name: shortName(file.name) })} />} items={items} />
    </div>
  );
}

function Passages({ project, name }: { project: string; name: string }): ReactNode {
  const { t } = useTranslation();
  const passages = usePassages(project, name);
  if (passages.error) return <Problem query={passages} />;
  if (!passages.data) return <Skeleton label={t("common.loading")} lines={3} />;
  return (
    <ol className={styles.passages}>
      {passages.data.map((passage) => (
        <li key={`${passage.document}#${passage.number}`}>
          <p className={styles.place}>{[passage.heading || passage.title, passage.page === null ? "" : t("documents.page", { page: passage.page })].filter(Boolean).join(" · ")}</p>
          {passage.question && <p className={styles.asked}>{passage.question}</p>}
          <p className={cx(styles.text)}>{passage.text}</p>
        </li>
      ))}
    </ol>
  );
}

function DeleteDocument({ project, file, onClose }: { project: string; file: DocumentFile; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const remove = useDeleteFile(project);
  return (
    <Dialog open onClose={onClose} title={t("documents.deleteTitle", { name: shortName(file.name) })} about={t("documents.deleteAbout")}>
      <Problem query={remove} />
      <Button kind="danger" icon="trash" busy={remove.isPending} onClick={() => remove.mutate(file.name, { onSuccess: onClose })}>
        {t("common.delete")}
      </Button>
    </Dialog>
  );
}
