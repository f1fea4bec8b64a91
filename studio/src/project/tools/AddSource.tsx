import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";

import { told } from "../../i18n/serverTexts";
import { usePlans } from "../../plans/queries";
import { Button } from "../../ui/Button";
import { Badge, Notice } from "../../ui/Feedback";
import { Select, TextField } from "../../ui/Field";
import { FileButton } from "../../ui/FileDrop";
import { Dialog } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { type Offered, type Tools, useAskServer, useChooseOperations, useChoosePlan, useChooseServerTools, useReadDocument } from "./queries";
import layout from "../../ui/Layout.module.css";
import styles from "./Tools.module.css";

const DOCUMENTS = ".json,.yaml,.yml";

/** Choose a plan that the desk asks, and changes after a yes. */
export function AddPlan({ project, tools, onClose }: { project: string; tools: Tools; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const plans = usePlans();
  const save = useChoosePlan(project);
  const [chosen, setChosen] = useState("");
  const made = plans.data?.filter((plan) => plan.status !== null) ?? [];
  const plan = made.find((one) => one.id === chosen) ?? made[0];
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("tools.fromPlan")}
      about={t("tools.planAbout")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" busy={save.isPending} disabled={!plan} onClick={() => plan && save.mutate({ plan: plan.id, stamp: tools.stamp }, { onSuccess: onClose })}>
            {t("tools.addPlan")}
          </Button>
        </>
      }
    >
      <div className={layout.page}>
        <Problem query={plans} />
        {plans.data && !plan && <Notice>{t("tools.noPlan")}</Notice>}
        {plan && <Select label={t("tools.plan")} value={plan.id} options={made.map((one) => ({ value: one.id, label: `${one.name} (${told(one.title)})` }))} onChange={(event) => setChosen(event.target.value)} />}
        <Notice tone="warn">{t("tools.planOpen")}</Notice>
        <Problem query={{ error: save.error }} />
      </div>
    </Dialog>
  );
}

/** Choose operations of an OpenAPI document. */
export function AddDocument({ project, tools, onClose }: { project: string; tools: Tools; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const read = useReadDocument(project);
  const save = useChooseOperations(project);
  const [text, setText] = useState("");
  const [name, setName] = useState("");
  const [server, setServer] = useState("");
  const [key, setKey] = useState("");
  const [chosen, setChosen] = useState<readonly string[]>([]);
  async function open(file: File): Promise<void> {
    const content = await file.text();
    setText(content);
    setName(plainName(file.name));
    setChosen([]);
    read.mutate(content);
  }
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={t("tools.fromOpenapi")}
      about={t("tools.openapiAbout")}
      foot={
        <Choose
          busy={save.isPending}
          count={chosen.length}
          onClose={onClose}
          onChoose={() => save.mutate({ name, text, server: server.trim(), headers: header(key), chosen: Object.fromEntries(chosen.map((id) => [id, {}])), stamp: tools.stamp }, { onSuccess: onClose })}
        />
      }
    >
      <div className={layout.page}>
        <div className={layout.row}>
          <FileButton label={t("tools.chooseDocument")} accept={DOCUMENTS} busy={read.isPending} onFile={(file) => void open(file)} />
        </div>
        <Problem query={{ error: read.error }} />
        {read.data && (
          <>
            <div className={layout.fields}>
              <TextField label={t("tools.sourceName")} value={name} maxLength={40} onChange={(event) => setName(event.target.value)} />
              <TextField label={t("tools.server")} help={t("tools.serverHelp")} value={server} maxLength={1000} onChange={(event) => setServer(event.target.value)} />
              <TextField label={t("tools.keyVariable")} help={t("tools.keyVariableHelp")} value={key} maxLength={64} onChange={(event) => setKey(event.target.value)} />
            </div>
            <Offers offered={read.data} chosen={chosen} onChange={setChosen} />
          </>
        )}
        <Problem query={{ error: save.error }} />
      </div>
    </Dialog>
  );
}

/** Choose tools of an MCP server. */
export function AddServer({ project, tools, onClose }: { project: string; tools: Tools; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const ask = useAskServer(project);
  const save = useChooseServerTools(project);
  const [url, setUrl] = useState("");
  const [name, setName] = useState("");
  const [key, setKey] = useState("");
  const [chosen, setChosen] = useState<readonly string[]>([]);
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={t("tools.fromMcp")}
      about={t("tools.mcpAbout")}
      foot={
        <Choose
          busy={save.isPending}
          count={chosen.length}
          onClose={onClose}
          onChoose={() => save.mutate({ name, url: url.trim(), headers: header(key), definitions: ask.data?.definitions ?? [], chosen: Object.fromEntries(chosen.map((id) => [id, {}])), stamp: tools.stamp }, { onSuccess: onClose })}
        />
      }
    >
      <div className={layout.page}>
        <form
          className={layout.stack}
          onSubmit={(event) => {
            event.preventDefault();
            setChosen([]);
            setName(plainName(hostOf(url)));
            ask.mutate({ url: url.trim(), headers: header(key) });
          }}
        >
          <div className={layout.fields}>
          <TextField label={t("tools.mcpUrl")} help={t("tools.mcpUrlHelp")} required maxLength={1000} value={url} onChange={(event) => setUrl(event.target.value)} />
          <TextField label={t("tools.keyVariable")} help={t("tools.keyVariableHelp")} value={key} maxLength={64} onChange={(event) => setKey(event.target.value)} />
          </div>
          <div className={layout.row}>
            <Button type="submit" busy={ask.isPending} disabled={!url.trim()}>
              {t("tools.askServer")}
            </Button>
          </div>
        </form>
        <Problem query={{ error: ask.error }} />
        {ask.data && (
          <>
            <TextField label={t("tools.sourceName")} value={name} maxLength={40} onChange={(event) => setName(event.target.value)} />
            <Notice>{t("tools.serverWords")}</Notice>
            <Offers offered={ask.data.tools} chosen={chosen} onChange={setChosen} />
          </>
        )}
        <Problem query={{ error: save.error }} />
      </div>
    </Dialog>
  );
}

function Choose({ busy, count, onClose, onChoose }: { busy: boolean; count: number; onClose: () => void; onChoose: () => void }): ReactNode {
  const { t } = useTranslation();
  return (
    <>
      <Button onClick={onClose}>{t("common.cancel")}</Button>
      <Button kind="primary" busy={busy} disabled={count === 0} onClick={onChoose}>
        {t("tools.choose", { count })}
      </Button>
    </>
  );
}

function Offers({ offered, chosen, onChange }: { offered: readonly Offered[]; chosen: readonly string[]; onChange: (chosen: string[]) => void }): ReactNode {
  const { t } = useTranslation();
  return (
    <fieldset className={styles.part}>
      <legend>{t("tools.offers", { count: offered.length })}</legend>
      <div className={styles.offers}>
        {offered.map((one) => (
          <label key={one.id}>
            <input type="checkbox" checked={chosen.includes(one.id)} disabled={one.faults.length > 0} onChange={(event) => onChange(offered.map((each) => each.id).filter((id) => (id === one.id ? event.target.checked : chosen.includes(id))))} />
            <div>
              <strong>{one.id}</strong> {one.description}
              <p className={layout.soft}>{one.faults.length > 0 ? one.faults.join("; ") : one.arguments.join(", ")}</p>
            </div>
            <Badge tone={one.changes ? "warn" : "good"}>{t(one.changes ? "tools.changes" : "tools.reads")}</Badge>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function plainName(text: string): string {
  return text.toLowerCase().replace(/\.[a-z]+$/, "").replace(/[^a-z0-9_-]+/g, "-").replace(/^[^a-z]+|-+$/g, "").slice(0, 40) || "api";
}

function hostOf(url: string): string {
  try {
    return new URL(url).hostname;
  } catch {
    return "server";
  }
}

function header(variable: string): Record<string, string> {
  return variable.trim() ? { Authorization: `Bearer \${${variable.trim()}}` } : {};
}
