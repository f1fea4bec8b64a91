import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button } from "../../ui/Button";
import { Card } from "../../ui/Card";
import { CodeBlock } from "../../ui/Code";
import { Notice } from "../../ui/Feedback";
import { TextArea, TextField } from "../../ui/Field";
import { NumberField } from "../../ui/NumberField";
import { Problem } from "../../ui/Problem";
import layout from "../../ui/Layout.module.css";
import styles from "./Channels.module.css";
import { Counts } from "./parts";
import { type Channels, useChangeSite } from "./queries";

/** The chat on your own pages: its line to paste, its name and colour, and which sites may show it. */
export function SiteCard({ project, channels, may }: { project: string; channels: Channels; may: boolean }): ReactNode {
  const { t } = useTranslation();
  const save = useChangeSite(project);
  const [widget, setWidget] = useState(channels.widget);
  const [address, setAddress] = useState(channels.public);
  const [days, setDays] = useState(channels.keep_days);
  const change = (part: Partial<typeof widget>) => setWidget((before) => ({ ...before, ...part }));
  return (
    <Card title={t("channels.site")} note={t("channels.siteAbout")} actions={<Counts delivery={channels.widget_delivery} />}>
      <div className={styles.form}>
        {channels.script === "" ? <Notice>{t("channels.scriptLater")}</Notice> : <CodeBlock code={channels.script} label={t("channels.script")} copy />}
        {channels.script !== "" && channels.public === "" && <p className={layout.soft}>{t("channels.scriptLocal")}</p>}
        <form
          className={styles.form}
          onSubmit={(event) => {
            event.preventDefault();
            const lists = { origins: cleaned(widget.origins), starters: cleaned(widget.starters) };
            save.mutate({ public: address, widget: { ...widget, ...lists }, keep_days: days });
          }}
        >
          <div className={layout.fields}>
            <TextField label={t("channels.name")} maxLength={60} required value={widget.name} onChange={(event) => change({ name: event.target.value })} />
            <div className={styles.colour}>
              <TextField label={t("channels.colour")} pattern="#[0-9A-Fa-f]{6}" required value={widget.colour} onChange={(event) => change({ colour: event.target.value })} />
              <input type="color" aria-label={t("channels.pickColour")} value={widget.colour} onChange={(event) => change({ colour: event.target.value })} />
            </div>
            <TextArea label={t("channels.origins")} help={t("channels.originsHelp")} rows={2} placeholder="https://shop.example" value={widget.origins.join("\n")} onChange={(event) => change({ origins: event.target.value.split("\n") })} />
            <TextArea label={t("channels.starters")} help={t("channels.startersHelp")} rows={2} value={widget.starters.join("\n")} onChange={(event) => change({ starters: event.target.value.split("\n") })} />
            <TextField label={t("channels.public")} help={t("channels.publicHelp")} placeholder="https://desk.shop.example" value={address} onChange={(event) => setAddress(event.target.value)} />
            <NumberField label={t("channels.keepDays")} help={t("channels.keepDaysHelp")} least={1} most={3650} whole value={days} onChange={(next) => next !== null && setDays(next)} />
          </div>
          <Problem query={{ error: save.error }} />
          <div className={layout.row}>
            <Button type="submit" kind="primary" busy={save.isPending} disabled={!may}>
              {t("common.save")}
            </Button>
            {save.isSuccess && <span className={layout.soft} role="status">{t("channels.saved")}</span>}
          </div>
        </form>
      </div>
    </Card>
  );
}

function cleaned(lines: readonly string[]): string[] {
  return lines.map((line) => line.trim().replace(/\/$/, "")).filter(Boolean);
}
