import "@xyflow/react/dist/style.css";

import { Background, Controls, type Edge, type EdgeChange, type Node, type NodeChange, type NodeHandle, type NodeProps, Panel, Position, ReactFlow, type ReactFlowInstance } from "@xyflow/react";
import { type DragEvent, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

import { Button } from "../../ui/Button";
import { type MenuItem, MenuAt } from "../../ui/Overlay";
import { candidateName } from "../../ui/settings";
import styles from "./Canvas.module.css";
import { fitting, LANES, layout, type Place, shiftInto, wireName, withoutStep, withoutWire, withStep, withWire } from "./graph";
import { mistakesAt, portColour, portTitle, stepTitle } from "./names";
import type { NodeFact } from "./onNodes";
import type { Kind, Step, Wire } from "./queries";
import { type NodeAction, type Side, StepNode, type StepNodeType } from "./StepNode";
import { type Tried, TriedNode, type TriedNodeType } from "./Tried";
import type { RecipeDraft } from "./useDraft";

const FIT = { padding: { x: "24px", top: "20px", bottom: "48px" } as const, minZoom: 0.62, maxZoom: 1.1 };
const WIDTH = 176;
const HEIGHT = 84;
const PORT = 14;
const COLUMN = 212;
const ROW = 108;
const LANE_GAP = 60;
const TRIED_IN_ROW = 5;
const TRIED_HEIGHT = 62;
const TRIED_ROW = 86;
const TYPES = { step: StepNode, lane: LaneName, tried: TriedNode };
export const DRAG_TYPE = "application/x-smidgen-step";

type LaneType = Node<{ title: string }, "lane">;
type AnyNode = StepNodeType | LaneType | TriedNodeType;

function LaneName({ data }: NodeProps<LaneType>): ReactNode {
  return <span className={styles.lane}>{data.title}</span>;
}

/** Where lines to the models that were tried begin. Nothing can be connected there. */
const TRIED_PORT = { name: "tried", type: "model" };

type Moved = Readonly<Record<string, { x: number; y: number }>>;

/** Where each lane begins, below the ones before it. */
function laneTops(places: Iterable<Place>): Map<string, number> {
  const rows = new Map<string, number>();
  for (const place of places) rows.set(place.stage, Math.max(rows.get(place.stage) ?? 0, place.row + 1));
  const tops = new Map<string, number>();
  let top = 0;
  for (const stage of LANES) {
    const height = rows.get(stage);
    if (height === undefined) continue;
    tops.set(stage, top);
    top += height * (stage === "tried" ? TRIED_ROW : ROW) + LANE_GAP;
  }
  return tops;
}

/** Move the drawing no further than it takes to have a step in sight: its neighbours stay where one can press them. */
function showStep(flow: ReactFlowInstance<AnyNode>, id: string | null, frame: HTMLDivElement | null): void {
  const node = id === null ? undefined : flow.getNode(id);
  if (!node || !frame) return;
  const { x, y, zoom } = flow.getViewport();
  const next = { x: x + shiftInto(node.position.x * zoom + x, WIDTH * zoom, frame.clientWidth), y: y + shiftInto(node.position.y * zoom + y, HEIGHT * zoom, frame.clientHeight), zoom };
  if (next.x !== x || next.y !== y) void flow.setViewport(next, { duration: 160 });
}

/** The ports of a step, each at the edge that looks to where its wire comes from or goes. */
function sidesOf(node: Step, kind: Kind | undefined, wires: readonly Wire[], places: Map<string, Place>, tries: boolean): Side[] {
  const own = places.get(node.id)?.stage;
  const away = (id: string | undefined) => id !== undefined && places.get(id)?.stage !== own;
  const sides: Side[] = [];
  for (const port of kind?.inputs ?? []) {
    const wire = wires.find((one) => one.target === node.id && one.input === port.name);
    sides.push({ port, side: "input", position: away(wire?.source) ? Position.Top : Position.Left, at: 0.5 });
  }
  for (const port of kind?.outputs ?? []) {
    const going = wires.filter((one) => one.source === node.id && one.output === port.name);
    sides.push({ port, side: "output", position: going.length > 0 && going.every((one) => away(one.target)) ? Position.Bottom : Position.Right, at: 0.5 });
  }
  if (tries) sides.push({ port: TRIED_PORT, side: "output", position: Position.Bottom, at: 0.5 });
  for (const position of [Position.Left, Position.Right, Position.Top, Position.Bottom]) {
    const along = sides.filter((side) => side.position === position);
    along.forEach((side, place) => (side.at = (place + 1) / (along.length + 1)));
  }
  return sides;
}

/** Where the ports lie on a step. Given, as its size is, rather than measured: a step that changes twice within one frame is not measured again, and its wires stay away. */
function handlesOf(sides: readonly Side[]): NodeHandle[] {
  return sides.map(({ port, side, position, at }) => {
    const x = position === Position.Left ? 0 : position === Position.Right ? WIDTH : at * WIDTH;
    const y = position === Position.Top ? 0 : position === Position.Bottom ? HEIGHT : at * HEIGHT;
    return { id: port.name, type: side === "input" ? "target" : "source", position, x: x - PORT / 2, y: y - PORT / 2, width: PORT, height: PORT };
  });
}

interface PortMenu {
  step: Step;
  side: Side;
  x: number;
  y: number;
}

interface CanvasGraphProps {
  project: string;
  draft: RecipeDraft;
  kinds: readonly Kind[];
  selected: string | null;
  /** What stands on the steps beside their settings. */
  facts: ReadonlyMap<string, NodeFact>;
  /** Models side by side, which are no steps. */
  tried: readonly Tried[];
  /** What a step does at the press of a button on it. */
  actions: ReadonlyMap<string, NodeAction>;
  onSelect: (id: string | null) => void;
  /** A file was dropped on the step of the data. */
  onFile: (file: File) => void;
}

/** The recipe as a drawing: steps that one drags, wires from port to port. */
export function CanvasGraph({ project, draft, kinds, selected, facts, tried, actions, onSelect, onFile }: CanvasGraphProps): ReactNode {
  const { t } = useTranslation();
  const [moved, setMoved] = useMoved(project);
  const [menu, setMenu] = useState<PortMenu | null>(null);
  const [chosenWires, setChosenWires] = useState<ReadonlySet<string>>(new Set());
  const frame = useRef<HTMLDivElement>(null);
  const flow = useRef<ReactFlowInstance<AnyNode> | null>(null);
  const { drawing, wires, mistakes } = draft;
  const places = useMemo(() => {
    const found = layout(drawing.nodes, wires, kinds);
    tried.forEach(({ id }, place) => found.set(id, { stage: "tried", column: place % TRIED_IN_ROW, row: Math.floor(place / TRIED_IN_ROW) }));
    return found;
  }, [drawing.nodes, wires, kinds, tried]);
  const shape = [...places].map(([id, place]) => `${id} ${place.column} ${place.row}`).join();

  const nodes = useMemo((): AnyNode[] => {
    const tops = laneTops(places.values());
    const lanes = [...tops].filter(([stage]) => [...places.values()].some((place) => place.stage === stage)).map(([stage, top]): LaneType => {
      const left = Math.min(...[...places.values()].filter((place) => place.stage === stage).map((place) => place.column));
      return { id: `lane ${stage}`, type: "lane", position: { x: left * COLUMN, y: top - 30 }, width: 200, height: 20, selectable: false, draggable: false, focusable: false, deletable: false, data: { title: t(`canvas.stage.${stage}`) } };
    });
    const steps = drawing.nodes.map((step): StepNodeType => {
      const place = places.get(step.id) ?? { stage: "service", column: 0, row: 0 };
      const kind = kinds.find((one) => one.name === step.kind);
      const alone = places.size > 0 && [...places.values()].filter((one) => one.stage === place.stage && one.column === place.column).length === 1;
      const tallest = Math.max(...[...places.values()].filter((one) => one.stage === place.stage).map((one) => one.row));
      const y = (tops.get(place.stage) ?? 0) + (alone ? (tallest * ROW) / 2 : place.row * ROW);
      const sides = sidesOf(step, kind, wires, places, step.kind === "student" && tried.length > 0);
      return {
        id: step.id,
        type: "step" as const,
        position: moved[step.id] ?? { x: place.column * COLUMN, y },
        width: WIDTH,
        height: HEIGHT,
        measured: { width: WIDTH, height: HEIGHT },
        handles: handlesOf(sides),
        selected: step.id === selected,
        deletable: !kind?.needed,
        ariaLabel: stepTitle(t, step),
        data: { step, mistakes: mistakesAt(mistakes, step.id), sides, fact: facts.get(step.kind), action: actions.get(step.kind), onPort: (of: Step, side: Side, x: number, y: number) => setMenu({ step: of, side, x, y }) },
      };
    });
    const models = tried.map((one): TriedNodeType => {
      const place = places.get(one.id) ?? { column: 0, row: 0 };
      return {
        id: one.id,
        type: "tried" as const,
        position: moved[one.id] ?? { x: place.column * COLUMN, y: (tops.get("tried") ?? 0) + place.row * TRIED_ROW },
        width: WIDTH,
        height: TRIED_HEIGHT,
        measured: { width: WIDTH, height: TRIED_HEIGHT },
        handles: [{ id: "tried", type: "target", position: Position.Top, x: WIDTH / 2 - PORT / 2, y: -PORT / 2, width: PORT, height: PORT }],
        selected: one.id === selected,
        deletable: false,
        ariaLabel: `${candidateName(t, one.student, one.row?.method)}, ${one.row ? one.figures : t("canvas.tried.planned")}`,
        data: { tried: one },
      };
    });
    return [...lanes, ...steps, ...models];
  }, [drawing.nodes, wires, kinds, places, moved, selected, mistakes, facts, tried, actions, t]);

  const edges = useMemo(
    (): Edge[] => [
      ...tried.map((one): Edge => ({
        id: `student>${one.id}`,
        source: drawing.nodes.find((node) => node.kind === "student")?.id ?? "",
        sourceHandle: TRIED_PORT.name,
        target: one.id,
        targetHandle: "tried",
        type: "smoothstep",
        selectable: false,
        focusable: false,
        deletable: false,
        style: { stroke: portColour(TRIED_PORT.type), strokeWidth: one.chosen ? 2 : 1.25, ...(one.chosen ? {} : { strokeDasharray: "4 4" }) },
      })),
      ...wires.map((wire) => {
        const type = kinds.find((kind) => kind.name === wire.source)?.outputs.find((port) => port.name === wire.output)?.type ?? wire.input;
        return {
          id: wireName(wire),
          selected: chosenWires.has(wireName(wire)),
          source: wire.source,
          sourceHandle: wire.output,
          target: wire.target,
          targetHandle: wire.input,
          type: "smoothstep",
          pathOptions: { offset: 12, borderRadius: 8 },
          ariaLabel: t("canvas.wire", { what: portTitle(t, type), from: stepTitle(t, { kind: wire.source }), to: stepTitle(t, { kind: wire.target }) }),
          style: { stroke: portColour(type), strokeWidth: 2 },
          data: { wire },
        };
      }),
    ],
    [wires, kinds, chosenWires, tried, drawing.nodes, t],
  );

  // Everything in sight when the steps change; the chosen step in sight when the panel has taken its room.
  const seen = useRef({ shape: "", shifted: false });
  useEffect(() => {
    const timer = window.setTimeout(() => {
      const now = flow.current;
      if (!now) return;
      const again = seen.current.shape !== shape || (selected === null && seen.current.shifted);
      seen.current = { shape, shifted: selected !== null };
      void (again ? now.fitView(FIT) : Promise.resolve()).then(() => showStep(now, selected, frame.current));
    }, 40);
    return () => window.clearTimeout(timer);
  }, [shape, selected]);

  const typeOf = (id: string | null, port: string | null | undefined, side: "inputs" | "outputs") => kinds.find((kind) => kind.name === drawing.nodes.find((node) => node.id === id)?.kind)?.[side].find((one) => one.name === port)?.type;

  function changed(changes: NodeChange<AnyNode>[]): void {
    for (const change of changes) {
      if (change.type === "position" && change.position) setMoved({ [change.id]: change.position });
      if (change.type === "select" && change.selected) onSelect(change.id);
    }
  }

  function wiresChanged(changes: EdgeChange[]): void {
    setChosenWires((before) => {
      const next = new Set(before);
      for (const change of changes) if (change.type === "select") next[change.selected ? "add" : "delete"](change.id);
      return next;
    });
  }

  /** A step goes with its wires, as one edit: what is left is connected again. */
  function deleted(steps: readonly AnyNode[], cut: readonly Edge[]): void {
    if (steps.length > 0) {
      draft.edit({ by: "graph", drawing: steps.reduce((now, step) => withoutStep(now, step.id, kinds), drawing) });
      onSelect(null);
    } else draft.edit({ by: "graph", drawing: cut.reduce((now, edge) => withoutWire(now, now.wires ?? wires, edge.data?.["wire"] as Wire), drawing) });
    frame.current?.focus(); // what had the focus is gone
  }

  function dropped(event: DragEvent): void {
    const file = event.dataTransfer.files[0];
    if (file) {
      event.preventDefault();
      if ((event.target as Element).closest("[data-id=data]")) onFile(file);
      return;
    }
    const kind = kinds.find((one) => one.name === event.dataTransfer.getData(DRAG_TYPE));
    if (!kind || !flow.current) return;
    event.preventDefault();
    const at = flow.current.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    setMoved({ [kind.name]: { x: at.x - WIDTH / 2, y: at.y - HEIGHT / 2 } });
    draft.edit({ by: "graph", drawing: withStep(drawing, kind, kinds) });
    onSelect(kind.name);
  }

  return (
    // Dropping a step here is a further way to what the buttons above do.
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div ref={frame} className={styles.flow} tabIndex={-1} onDragOver={(event) => (event.dataTransfer.types.includes(DRAG_TYPE) || event.dataTransfer.types.includes("Files")) && event.preventDefault()} onDrop={dropped}>
      <ReactFlow<AnyNode>
        nodes={nodes}
        edges={edges}
        nodeTypes={TYPES}
        onInit={(made) => (flow.current = made)}
        onNodesChange={changed}
        onEdgesChange={wiresChanged}
        onPaneClick={() => onSelect(null)}
        onDelete={(gone) => deleted(gone.nodes, gone.edges)}
        onConnect={({ source, sourceHandle, target, targetHandle }) => draft.edit({ by: "graph", drawing: withWire(drawing, wires, { source, output: sourceHandle ?? "", target, input: targetHandle ?? "" }) })}
        isValidConnection={({ source, sourceHandle, target, targetHandle }) => source !== target && typeOf(source, sourceHandle, "outputs") === typeOf(target, targetHandle, "inputs")}
        connectOnClick={false}
        deleteKeyCode={["Backspace", "Delete"]}
        minZoom={0.3}
        fitView
        fitViewOptions={FIT}
        ariaLabelConfig={{ "node.a11yDescription.default": t("canvas.nodeHelp"), "node.a11yDescription.keyboardDisabled": t("canvas.nodeHelp"), "edge.a11yDescription.default": t("canvas.wireHelp"), "controls.zoomIn.ariaLabel": t("canvas.zoomIn"), "controls.zoomOut.ariaLabel": t("canvas.zoomOut"), "controls.fitView.ariaLabel": t("canvas.fitView") }}
      >
        <Background gap={24} />
        <Controls showInteractive={false} orientation="horizontal" />
        {Object.keys(moved).length > 0 && (
          <Panel position="top-right">
            <Button small onClick={() => setMoved(null)}>
              {t("canvas.tidy")}
            </Button>
          </Panel>
        )}
      </ReactFlow>
      {menu && <MenuAt x={menu.x} y={menu.y} label={t(menu.side.side === "input" ? "canvas.gets" : "canvas.gives", { what: portTitle(t, menu.side.port.type) })} items={portItems(menu)} onClose={() => setMenu(null)} />}
    </div>
  );

  function portItems({ step, side }: PortMenu): MenuItem[] {
    const name = (id: string) => stepTitle(t, { kind: id });
    const input = side.side === "input";
    const own = wires.filter((wire) => (input ? wire.target === step.id && wire.input === side.port.name : wire.source === step.id && wire.output === side.port.name));
    const wireTo = (kind: string, port: string): Wire => (input ? { source: kind, output: port, target: step.id, input: side.port.name } : { source: step.id, output: side.port.name, target: kind, input: port });
    const fits = fitting(side.side, step.kind, side.port, drawing, kinds);
    return [
      ...own.map((wire) => ({ label: t("canvas.disconnect", { step: name(input ? wire.source : wire.target) }), icon: "close" as const, onSelect: () => draft.edit({ by: "graph", drawing: withoutWire(drawing, wires, wire) }) })),
      ...fits
        .filter((fit) => fit.there && !own.some((wire) => (input ? wire.source : wire.target) === fit.kind))
        .map((fit) => ({ label: t("canvas.connect", { step: name(fit.kind) }), icon: "branch" as const, onSelect: () => draft.edit({ by: "graph", drawing: withWire(drawing, wires, wireTo(fit.kind, fit.port)) }) })),
      ...fits
        .filter((fit) => !fit.there)
        .map((fit) => ({
          label: t("canvas.addStep", { step: name(fit.kind) }),
          icon: "plus" as const,
          onSelect: () => {
            const kind = kinds.find((one) => one.name === fit.kind);
            if (kind) draft.edit({ by: "graph", drawing: withStep(drawing, kind, kinds) });
            onSelect(fit.kind);
          },
        })),
    ];
  }
}

/** Where somebody dragged steps to, kept in this browser. */
function useMoved(project: string): [Moved, (more: Moved | null) => void] {
  const key = `smidgen.canvas.${project}`;
  const [moved, setMoved] = useState<Moved>(() => {
    try {
      return JSON.parse(localStorage.getItem(key) ?? "{}") as Moved;
    } catch {
      return {};
    }
  });
  return [
    moved,
    (more) =>
      setMoved((before) => {
        const next = more === null ? {} : { ...before, ...more };
        localStorage.setItem(key, JSON.stringify(next));
        return next;
      }),
  ];
}
