import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { api, body } from "../../api/client";
import { formatNumber } from "../../i18n";
import { told } from "../../i18n/serverTexts";
import { Card } from "../../ui/Card";
import { Icon, type IconName } from "../../ui/icons";
import { Problem } from "../../ui/Problem";
import { Disclosure } from "../../ui/SchemaForm";
import type { ReportView } from "./queries";
import styles from "./Report.module.css";

const KNOWN: readonly { file: string; words: string; icon: IconName }[] = [
  { file: "report.html", words: "report.downloadReport", icon: "report" },
  { file: "README.md", words: "report.downloadCard", icon: "doc" },
  { file: "report.json", words: "report.downloadFigures", icon: "data" },
];

function fileSize(bytes: number): string {
  return bytes < 1e6 ? `${formatNumber(Math.ceil(bytes / 1e3))} kB` : `${formatNumber(bytes / 1e6, { maximumSignificantDigits: 3 })} MB`;
}

/** The bundle as one file, and the papers that an auditor asks for. */
export function Downloads({ project, view }: { project: string; view: ReportView }): ReactNode {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const exports = useQuery({ queryKey: ["exports", project, view.id], enabled: open, queryFn: () => body(api.GET("/api/v1/projects/{project}/models/{model}/exports", { params: { path: { project, model: view.id } } })) });
  const base = `/api/v1/projects/${project}/models/${view.id}`;
  const sizes = new Map(view.files.map((file) => [file.name, file.size]));
  const whole = view.files.reduce((sum, file) => sum + file.size, 0);
  return (
    <Card title={t("report.downloads")} note={t("report.downloadsNote")}>
      <ul className={styles.downloads}>
        <li>
          <a href={`${base}/bundle.zip`} download>
            <Icon name="download" />
            <span>
              <strong>{t("report.downloadBundle")}</strong>
              <span>
                {t("report.zip")}, {fileSize(whole)}
              </span>
            </span>
          </a>
        </li>
        {KNOWN.filter(({ file }) => sizes.has(file)).map(({ file, words, icon }) => (
          <li key={file}>
            <a href={`${base}/files/${file}`} download>
              <Icon name={icon} />
              <span>
                <strong>{t(words)}</strong>
                <span>
                  {file}, {fileSize(sizes.get(file) ?? 0)}
                </span>
              </span>
            </a>
          </li>
        ))}
      </ul>
      <Disclosure title={t("report.exports")} about={t("report.exportsAbout")} open={open} onToggle={setOpen}>
          <ul>
            {exports.data?.map((one) => (
              <li key={one.target}>
                <strong>{one.target}</strong> {one.command ? <code>{one.command}</code> : `${told(one.why)}. ${told(one.todo)}`}
              </li>
            ))}
          </ul>
      </Disclosure>
      <Problem query={exports} />
    </Card>
  );
}
