import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useMay } from "../../api/queries";
import { told } from "../../i18n/serverTexts";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Badge, Empty, Notice, Skeleton } from "../../ui/Feedback";
import { TextArea } from "../../ui/Field";
import { IconButton } from "../../ui/Button";
import { Dialog, Menu } from "../../ui/Overlay";
import { Problem } from "../../ui/Problem";
import { PageTitle } from "../../ui/Shell";
import { AddDocument, AddPlan, AddServer } from "./AddSource";
import { draftOf, shown, shownIn } from "./draft";
import { type Tool, type Tools, useDeleteTool, useSaveToolText, useTools } from "./queries";
import { SecretsCard } from "./SecretsCard";
import { Marked, Template } from "./Template";
import { ToolForm } from "./ToolForm";
import layout from "../../ui/Layout.module.css";
import styles from "./Tools.module.css";
import { TryCard } from "./TryCard";

type Adding = "tool" | "plan" | "openapi" | "mcp" | "text" | null;

/** The tools of a desk: what each does and asks, changed by a form, and each call looked at before anything is sent. */
export function ToolsPage(): ReactNode {
  const { t } = useTranslation();
  const { project = "" } = useParams();
  const tools = useTools(project);
  const may = useMay("edit");
  const mayAsk = useMay("manage");
  const [adding, setAdding] = useState<Adding>(null);
  const [open, setOpen] = useState<Tool | null>(null);
  const [tried, setTried] = useState("");
  const data = tools.data;
  const sources = [
    { label: t("tools.fromPlan"), icon: "sun" as const, disabled: !mayAsk, onSelect: () => setAdding("plan") },
    { label: t("tools.fromOpenapi"), icon: "doc" as const, onSelect: () => setAdding("openapi") },
    { label: t("tools.fromMcp"), icon: "branch" as const, disabled: !mayAsk, onSelect: () => setAdding("mcp") },
    { label: t("tools.asText"), icon: "pencil" as const, onSelect: () => setAdding("text") },
  ];
  return (
    <>
      <PageTitle
        title={t("nav.tools")}
        about={t("tools.about")}
        actions={
          may && (
            <div className={layout.row}>
              {data && data.tools.length > 0 && (
                <Button kind="primary" icon="plus" onClick={() => setAdding("tool")}>
                  {t("tools.add")}
                </Button>
              )}
              <Menu trigger={<Button icon="down">{t("tools.more")}</Button>} items={sources} />
            </div>
          )
        }
      />
      <div className={layout.page}>
        <Problem query={tools} />
        {!data && !tools.error && <Skeleton label={t("common.loading")} />}
        {data && data.mistakes.length > 0 && (
          <Notice tone="bad">
            <p>{t("tools.fileWrong")}</p>
            <ul>
              {data.mistakes.map((one, place) => (
                <li key={place}>{told(one.text)}</li>
              ))}
            </ul>
          </Notice>
        )}
        {data && !data.kept_comments && <Notice tone="warn">{t("tools.commentsLost")}</Notice>}
        {data?.tools.length === 0 && (
          <Empty icon="bolt" title={t("tools.none")} actions={may && <Button kind="primary" icon="plus" onClick={() => setAdding("tool")}>{t("tools.add")}</Button>}>
            {t("tools.noneAbout")}
          </Empty>
        )}
        {data && data.tools.length > 0 && (
          <div className={styles.cards}>
            {data.tools.map((tool) => (
              <ToolCard key={`${tool.place.source} ${tool.place.origin} ${tool.place.id}`} project={project} tool={tool} tools={data} onOpen={() => setOpen(tool)} onTry={() => setTried(tool.name)} />
            ))}
          </div>
        )}
        {data && data.tools.length > 0 && <TryCard project={project} tools={data} tool={tried} onTool={setTried} />}
        {data && <SecretsCard project={project} tools={data} />}
      </div>
      {data && (adding === "tool" || open) && (
        <ToolForm
          key={open ? open.place.id : "new"}
          project={project}
          tools={data}
          tool={open}
          onClose={() => {
            setAdding(null);
            setOpen(null);
          }}
        />
      )}
      {data && adding === "plan" && <AddPlan project={project} tools={data} onClose={() => setAdding(null)} />}
      {data && adding === "openapi" && <AddDocument project={project} tools={data} onClose={() => setAdding(null)} />}
      {data && adding === "mcp" && <AddServer project={project} tools={data} onClose={() => setAdding(null)} />}
      {data && adding === "text" && <AsText project={project} tools={data} onClose={() => setAdding(null)} />}
    </>
  );
}

function ToolCard({ project, tool, tools, onOpen, onTry }: { project: string; tool: Tool; tools: Tools; onOpen: () => void; onTry: () => void }): ReactNode {
  const { t, i18n } = useTranslation();
  const may = useMay("edit");
  const remove = useDeleteTool(project);
  const [asking, setAsking] = useState(false);
  const draft = draftOf(tool.place.id, tool.settings, tool.place.source !== "tools", tool.changes, tool.schema);
  const words = tool.words[i18n.language] ?? tool.words[""] ?? Object.values(tool.words)[0] ?? "";
  const unset = Object.entries(tool.variables).filter(([, there]) => !there).map(([name]) => name);
  const example = draft.examples[0];
  const ofPlan = tools.sources.some((source) => source.source === tool.place.source && source.name === tool.place.origin && source.settings["plan"]);
  return (
    <article className={cx(styles.tool, tool.mistakes.length > 0 && styles.wrong)} aria-label={tool.name}>
      <header>
        <div>
          <h3>{tool.description || tool.name}</h3>
          <code>{tool.name}</code>
        </div>
        {may && (
          <Menu
            trigger={<IconButton icon="more" small label={t("common.more")} />}
            items={[
              { label: t("tools.edit"), icon: "pencil", onSelect: onOpen },
              { label: t("common.delete"), icon: "trash", danger: true, onSelect: () => setAsking(true) },
            ]}
          />
        )}
      </header>
      <div className={layout.badges}>
        <Badge tone={tool.changes ? "warn" : "good"} icon={tool.changes ? "pencil" : "search"}>
          {t(tool.changes ? "tools.changes" : "tools.reads")}
        </Badge>
        <Badge tone={tool.waits ? "accent" : "plain"}>{t(tool.waits ? "tools.waits" : "tools.atOnce")}</Badge>
        <Badge>{t(`tools.kind.${ofPlan ? "plan" : tool.place.source === "openapi" ? "openapi" : tool.kind}`)}</Badge>
      </div>
      <p className={styles.saying}>{words ? <Template text={words} named={draft.arguments} /> : t("tools.noWords")}</p>
      <dl className={styles.facts}>
        <dt>{t("tools.needs")}</dt>
        <dd>{draft.arguments.length === 0 ? t("tools.nothing") : draft.arguments.map((one) => `${shown(one)}${one.required ? "" : ` (${t("tools.optional")})`}`).join(", ")}</dd>
        <dt>{t("tools.whose")}</dt>
        <dd>{tool.owner.length === 0 ? t("tools.everyones") : t("tools.provenBy", { names: tool.owner.map((name) => shownIn(draft.arguments, name)).join(` ${t("tools.and")} `) })}</dd>
        {example && (
          <>
            <dt>{t("tools.example")}</dt>
            <dd>
              “<Marked message={example.message} values={example.arguments} />”{draft.examples.length > 1 && <span className={layout.soft}> {t("tools.moreExamples", { count: draft.examples.length - 1 })}</span>}
            </dd>
          </>
        )}
      </dl>
      <div>
        {tool.mistakes.length > 0 && (
          <ul className={styles.faults}>
            {tool.mistakes.map((one, place) => (
              <li key={place}>
                {one.place && `${one.place}: `}
                {told(one.text)}
              </li>
            ))}
          </ul>
        )}
        {tool.mistakes.length === 0 && unset.length > 0 && <p className={layout.soft}>{t("tools.unset", { names: unset.join(", ") })}</p>}
        <div className={layout.row}>
          <Button small icon="search" disabled={tool.mistakes.length > 0} onClick={onTry}>
            {t("tools.look")}
          </Button>
          {may && (
            <Button small kind="quiet" icon="pencil" onClick={onOpen}>
              {t("tools.edit")}
            </Button>
          )}
        </div>
      </div>
      <Dialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t("tools.deleteTitle", { name: tool.name })}
        about={t("tools.deleteAbout")}
        foot={
          <>
            <Button onClick={() => setAsking(false)}>{t("common.cancel")}</Button>
            <Button kind="danger" busy={remove.isPending} onClick={() => remove.mutate({ place: tool.place, stamp: tools.stamp }, { onSuccess: () => setAsking(false) })}>
              {t("common.delete")}
            </Button>
          </>
        }
      >
        <Problem query={{ error: remove.error }} />
      </Dialog>
    </article>
  );
}

function AsText({ project, tools, onClose }: { project: string; tools: Tools; onClose: () => void }): ReactNode {
  const { t } = useTranslation();
  const save = useSaveToolText(project);
  const [text, setText] = useState(tools.text);
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={t("tools.asText")}
      about={t("tools.asTextAbout")}
      foot={
        <>
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" busy={save.isPending} disabled={text === tools.text} onClick={() => save.mutate({ text, stamp: tools.stamp }, { onSuccess: onClose })}>
            {t("common.save")}
          </Button>
        </>
      }
    >
      <div className={cx(layout.page, styles.code)}>
        <TextArea label={t("tools.file")} rows={24} spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} />
        <Problem query={{ error: save.error }} />
      </div>
    </Dialog>
  );
}
