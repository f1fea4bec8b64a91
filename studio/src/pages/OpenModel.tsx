import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, type SubmitEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";

import { api, body, fileBody } from "../api/client";
import { type Project, useMay, useSession } from "../api/queries";
import { Button } from "../ui/Button";
import { TextField } from "../ui/Field";
import { FileDrop } from "../ui/FileDrop";
import { Dialog } from "../ui/Overlay";
import { Problem } from "../ui/Problem";
import styles from "./Start.module.css";

/** Opens a model from elsewhere as a project: its ZIP file, or on this machine alone its folder. */
function useOpen<V>(call: (wanted: V) => Promise<Project>) {
  const queries = useQueryClient();
  const go = useNavigate();
  return useMutation({
    mutationFn: call,
    onSuccess: async (project) => {
      await queries.invalidateQueries({ queryKey: ["projects"] });
      await go(`/projects/${project.id}/try`);
    },
  });
}

/** The button that opens a model which was built elsewhere. */
export function OpenModel(): ReactNode {
  const { t } = useTranslation();
  const may = useMay("build");
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button icon="upload" disabled={!may} title={may ? undefined : t("start.mayNotBuild")} onClick={() => setOpen(true)}>
        {t("start.openModel")}
      </Button>
      {open && <OpenModelDialog onClose={() => setOpen(false)} />}
    </>
  );
}

function OpenModelDialog({ onClose }: { onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const session = useSession().data;
  const [path, setPath] = useState("");
  const file = useOpen((sent: File) => body(api.POST("/api/v1/models/uploads", { params: { query: { name: sent.name } }, ...fileBody(sent) })));
  const folder = useOpen((wanted: string) => body(api.POST("/api/v1/models/folder", { body: { path: wanted } })));
  const here = session?.accounts_needed === false && session.permissions.includes("manage");
  const busy = file.isPending || folder.isPending;

  function submit(event: SubmitEvent): void {
    event.preventDefault();
    file.reset();
    folder.mutate(path.trim());
  }

  return (
    <Dialog open onClose={onClose} title={t("start.openModel")} about={t("start.openModelAbout")}>
      <div className={styles.form}>
        <FileDrop
          beside
          label={t("start.chooseZip")}
          accept=".zip"
          busy={file.isPending}
          disabled={busy}
          onFile={(sent) => {
            folder.reset();
            file.mutate(sent);
          }}
          title={t("start.dropZip")}
          about={t("start.dropZipAbout")}
          reading={t("start.opening")}
        />
        <Problem query={{ error: file.error }} />
        {here && (
          <form className={styles.path} onSubmit={submit}>
            <TextField label={t("start.folder")} help={t("start.folderHelp")} placeholder={t("start.folderExample")} value={path} maxLength={4000} onChange={(event) => setPath(event.target.value)} />
            <Button type="submit" disabled={!path.trim() || busy} busy={folder.isPending}>
              {t("start.openFolder")}
            </Button>
          </form>
        )}
        <Problem query={{ error: folder.error }} />
      </div>
    </Dialog>
  );
}
