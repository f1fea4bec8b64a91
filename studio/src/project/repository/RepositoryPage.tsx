import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { api, body, fileBody } from "../../api/client";
import { useMay, useSession } from "../../api/queries";
import type { components } from "../../api/schema";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { Badge, Skeleton } from "../../ui/Feedback";
import { TextField } from "../../ui/Field";
import { FileDrop } from "../../ui/FileDrop";
import layout from "../../ui/Layout.module.css";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import styles from "./Repository.module.css";

type Repository = components["schemas"]["ProjectRepository"];

/** The source files that a project learns to complete: a ZIP file of the repository, or its folder on this machine. */
export function RepositoryPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const found = useQuery({ queryKey: ["files", project, "repository"], queryFn: () => body(api.GET("/api/v1/projects/{project}/repository", { params: { path: { project } } })) });
  const [taken, setTaken] = useState<Repository | null>(null);
  const shown = found.data;
  return (
    <>
      <PageTitle title={t("nav.repository")} about={t("repository.about")} />
      <div className={layout.page}>
        <Problem query={found} />
        {found.isPending && <Skeleton label={t("common.loading")} />}
        {shown && <Give project={project} beside={shown.files > 0} onTaken={setTaken} />}
        {shown && shown.files > 0 && (
          <Card title={t("repository.files", { count: shown.files, shown: formatNumber(shown.files) })} note={t("repository.lines", { lines: formatNumber(shown.lines) })}>
            <div className={layout.stack}>
              <div className={layout.badges}>
                {shown.endings.map((one) => (
                  <Badge key={one.ending}>
                    {one.ending} {formatNumber(one.files)}
                  </Badge>
                ))}
              </div>
              {(taken?.remarks ?? []).length > 0 && (
                <ul className={styles.remarks}>
                  {taken?.remarks.map((remark) => (
                    <li key={remark}>{told(remark)}</li>
                  ))}
                </ul>
              )}
              <ul className={styles.names}>
                {shown.names.map((name) => (
                  <li key={name}>
                    <code>{name}</code>
                  </li>
                ))}
              </ul>
              {shown.files > shown.names.length && <p className={layout.soft}>{t("repository.more", { count: shown.files - shown.names.length })}</p>}
            </div>
          </Card>
        )}
      </div>
    </>
  );
}

function useTake<Wanted>(project: string, take: (wanted: Wanted) => Promise<Repository>, onTaken: (found: Repository) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: take,
    onSuccess: async (found) => {
      onTaken(found);
      await queries.invalidateQueries({ queryKey: ["files", project] });
    },
  });
}

function Give({ project, beside, onTaken }: { project: string; beside: boolean; onTaken: (found: Repository) => void }): ReactNode {
  const { t } = useTranslation();
  const may = useMay("edit");
  const session = useSession().data;
  const [path, setPath] = useState("");
  const send = useTake(project, (file: File) => body(api.POST("/api/v1/projects/{project}/repository/uploads", { params: { path: { project }, query: { name: file.name } }, ...fileBody(file) })), onTaken);
  const folder = useTake(project, (wanted: string) => body(api.POST("/api/v1/projects/{project}/repository/folder", { params: { path: { project } }, body: { path: wanted } })), onTaken);
  const here = session?.accounts_needed === false && session.permissions.includes("manage");
  const busy = send.isPending || folder.isPending;
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    send.reset();
    folder.mutate(path.trim());
  }
  return (
    <div className={layout.stack}>
      <FileDrop
        beside={beside}
        label={t("repository.chooseZip")}
        accept=".zip"
        busy={send.isPending}
        disabled={!may || busy}
        onFile={(file) => {
          folder.reset();
          send.mutate(file);
        }}
        title={t(beside ? "repository.again" : "repository.drop")}
        about={t("repository.dropAbout")}
        reading={t("repository.reading")}
      />
      {here && (
        <form className={layout.close} onSubmit={submit}>
          <TextField label={t("repository.folder")} help={t("repository.folderHelp")} placeholder="/home/ann/projects/shop" value={path} maxLength={4000} onChange={(event) => setPath(event.target.value)} />
          <div className={layout.row}>
            <Button type="submit" disabled={!path.trim() || busy} busy={folder.isPending}>
              {t("repository.take")}
            </Button>
          </div>
        </form>
      )}
      <Problem query={{ error: send.error ?? folder.error }} />
    </div>
  );
}
