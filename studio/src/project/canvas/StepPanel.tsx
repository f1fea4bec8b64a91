import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { told } from "../../i18n/serverTexts";
import { Button, IconButton } from "../../ui/Button";
import { Notice } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { Icon } from "../../ui/icons";
import { type AddedFile, ImportFile } from "../data/ImportFile";
import styles from "./Canvas.module.css";
import { WorkPanel, type WorkOfProject } from "./AtWork";
import { addable, fitting, withoutStep, withoutWire, withSetting, withStep, withWire } from "./graph";
import { mistakesAt, portColour, portTitle, stepAbout, stepIcon, stepTitle } from "./names";
import type { Kind, Step } from "./queries";
import { SettingsForm } from "./SettingsForm";
import type { RecipeDraft } from "./useDraft";

interface StepPanelProps {
  project: string;
  node: Step;
  draft: RecipeDraft;
  kinds: readonly Kind[];
  work: WorkOfProject;
  /** The button that builds. */
  build: ReactNode;
  onClose: () => void;
  onSelect: (id: string | null) => void;
  onAdded: (added: AddedFile) => void;
}

/** What a step is, its mistakes, what it is connected to, and its settings: all that the drawing shows, by keyboard too. */
export function StepPanel({ project, node, draft, kinds, work, build, onClose, onSelect, onAdded }: StepPanelProps): ReactNode {
  const { t } = useTranslation();
  const kind = kinds.find((one) => one.name === node.kind);
  const mistakes = mistakesAt(draft.mistakes, node.id);
  const wiring = mistakes.filter((mistake) => mistake.place === "");
  const nameOf = (id: string) => stepTitle(t, draft.drawing.nodes.find((one) => one.id === id) ?? { kind: id });
  const after = (kind?.outputs ?? []).flatMap((port) => fitting("output", node.kind, port, draft.drawing, kinds)).filter((fit) => !fit.there);
  const missing = addable(draft.drawing, kinds).filter((one) => after.some((fit) => fit.kind === one.name));
  const several = node.settings["student"]?.["kind"] ?? "auto";
  const hidden = [...(several === "auto" || node.settings["student"]?.["among"] !== undefined ? [] : ["student.among"]), ...(node.kind === "unsure" ? ["route.local"] : [])];
  return (
    <section className={styles.panel} aria-label={stepTitle(t, node)}>
      <header className={styles.panelHead}>
        <Icon name={stepIcon(node.kind)} />
        <h2>{stepTitle(t, node)}</h2>
        <IconButton icon="close" small label={t("common.close")} onClick={onClose} />
      </header>
      <p className={styles.about}>{stepAbout(t, node, kind)}</p>
      {mistakes.length > 0 && (
        <Notice tone="bad">
          {mistakes.map((mistake) => (
            <p key={mistake.place + mistake.text}>
              {mistake.place && <code>{mistake.place}</code>} {told(mistake.text)}
            </p>
          ))}
        </Notice>
      )}
      {node.kind === "data" && (
        <>
          <p className={styles.about}>
            {t("canvas.projectRows")} <Link to={`/projects/${project}/data`}>{t("nav.data")}</Link>
          </p>
          <div className={styles.files}>
            <ImportFile project={project} compact onAdded={onAdded} />
          </div>
        </>
      )}
      <WorkPanel project={project} step={node} draft={draft} work={work} />
      <SettingsForm key={node.id} hide={hidden} node={node} kind={kind} mistakes={mistakes.filter((mistake) => !wiring.includes(mistake))} onChange={(section, name, value) => draft.edit({ by: "graph", drawing: withSetting(draft.drawing, node.id, section, name, value) }, `${node.id} ${section} ${name}`)} />
      {kind && (kind.inputs.length > 0 || kind.outputs.length > 0) && (
        <div className={styles.form}>
          <h3>{t("canvas.connections")}</h3>
          {kind.inputs.map((port) => {
            const wire = draft.wires.find((one) => one.target === node.id && one.input === port.name);
            const sources = fitting("input", node.kind, port, draft.drawing, kinds).filter((fit) => fit.there);
            return (
              <Select
                key={port.name}
                label={<PortName type={port.type} text={t("canvas.gets", { what: portTitle(t, port.type) })} />}
                value={wire ? `${wire.source} ${wire.output}` : ""}
                options={[{ value: "", label: t("canvas.notConnected") }, ...sources.map((fit) => ({ value: `${fit.kind} ${fit.port}`, label: nameOf(fit.kind) }))]}
                onChange={(event) => {
                  const [source = "", output = ""] = event.target.value.split(" ");
                  const next = source ? withWire(draft.drawing, draft.wires, { source, output, target: node.id, input: port.name }) : wire && withoutWire(draft.drawing, draft.wires, wire);
                  if (next) draft.edit({ by: "graph", drawing: next });
                }}
              />
            );
          })}
          {kind.outputs.map((port) => {
            const targets = draft.wires.filter((wire) => wire.source === node.id && wire.output === port.name);
            return (
              <p key={port.name} className={styles.gives}>
                <PortName type={port.type} text={t("canvas.gives", { what: portTitle(t, port.type) })} /> {targets.map((wire) => nameOf(wire.target)).join(", ") || t("canvas.toNobody")}
              </p>
            );
          })}
        </div>
      )}
      <footer className={styles.panelFoot}>
        {kind?.stage === "model" && build}
        {missing.map((one) => (
          <Button
            key={one.name}
            small
            icon="plus"
            onClick={() => {
              draft.edit({ by: "graph", drawing: withStep(draft.drawing, one, kinds) });
              onSelect(one.name);
            }}
          >
            {stepTitle(t, { kind: one.name })}
          </Button>
        ))}
        {(!kind?.needed || node.kind === "unknown") && (
          <Button
            small
            kind="danger"
            icon="trash"
            onClick={() => {
              draft.edit({ by: "graph", drawing: withoutStep(draft.drawing, node.id, kinds) });
              onSelect(null);
            }}
          >
            {t("canvas.remove")}
          </Button>
        )}
      </footer>
    </section>
  );
}

export function PortName({ type, text }: { type: string; text: string }): ReactNode {
  return (
    <span className={styles.portName}>
      <i style={{ background: portColour(type) }} />
      {text}
    </span>
  );
}
