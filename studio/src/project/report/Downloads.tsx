import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

import { formatNumber } from "../../i18n";
import { Card } from "../../ui/Card";
import { Icon, type IconName } from "../../ui/icons";
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
    </Card>
  );
}
