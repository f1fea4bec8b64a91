import type { Kind, Port, Step, Wire } from "./queries";

/** A graph as somebody draws it; without wires the server connects the steps as they belong together. */
export interface Drawing {
  nodes: readonly Step[];
  wires: readonly Wire[] | null;
}

/** A settings value of a step; undefined takes it away. */
export function withSetting(drawing: Drawing, id: string, section: string, name: string, value: unknown): Drawing {
  const nodes = drawing.nodes.map((node) => {
    if (node.id !== id) return node;
    const others = Object.entries(node.settings[section] ?? {}).filter(([other]) => other !== name);
    const held = Object.fromEntries(value === undefined ? others : [...others, [name, value]]);
    const sections = Object.entries(node.settings).filter(([other]) => other !== section);
    return { ...node, settings: Object.fromEntries(Object.keys(held).length === 0 ? sections : [...sections, [section, held]]) };
  });
  return { ...drawing, nodes };
}

const WHOLE = ["fp32", "f32", "f16", ""];

/** The settings by which the next build makes one model of those that were tried. */
export function settingsOf(tried: { student?: string; method?: string }): { kind: string; method: string } {
  const { student = "", method = "" } = tried;
  return { kind: student, method: WHOLE.includes(method) ? "none" : method };
}

/** The drawing that takes one model of those that were tried. Training settings of another one go. */
export function withTaken(drawing: Drawing, tried: { student?: string; method?: string }): Drawing {
  const { kind, method } = settingsOf(tried);
  const own = drawing.nodes.find((node) => node.kind === "student")?.settings["student"]?.["kind"];
  const trained = own === kind ? drawing : { ...drawing, nodes: drawing.nodes.map((node) => (node.kind === "student" ? { ...node, settings: Object.fromEntries(Object.entries(node.settings).filter(([section]) => section !== "train")) } : node)) };
  const among = withSetting(trained, "student", "student", "among", undefined);
  return withSetting(withSetting(among, "student", "student", "kind", kind), "compress", "compress", "method", method);
}

/** Steps that are not there and may be added. A partner comes by itself. */
export function addable(drawing: Drawing, kinds: readonly Kind[]): Kind[] {
  const there = new Set(drawing.nodes.map((node) => node.kind));
  return kinds.filter((kind) => !there.has(kind.name) && (kind.needed || Object.keys(kind.starts).length > 0));
}

/** The drawing with a step added, and the step that always comes with it. Both are connected as they belong. */
export function withStep(drawing: Drawing, kind: Kind, kinds: readonly Kind[]): Drawing {
  const there = new Set(drawing.nodes.map((node) => node.kind));
  const more = kinds.filter((one) => (one.name === kind.name || one.name === kind.partner) && !there.has(one.name));
  const nodes = [...drawing.nodes, ...more.map((one) => ({ id: one.name, kind: one.name, settings: one.starts }))];
  const order = new Map(kinds.map((one, place) => [one.name, place]));
  nodes.sort((a, b) => (order.get(a.kind) ?? kinds.length) - (order.get(b.kind) ?? kinds.length));
  return { nodes, wires: null };
}

/** The drawing without a step, and without the one that is never there alone. What is left is connected again. */
export function withoutStep(drawing: Drawing, id: string, kinds: readonly Kind[]): Drawing {
  const gone = drawing.nodes.find((node) => node.id === id);
  const partner = kinds.find((kind) => kind.name === gone?.kind)?.partner;
  return { nodes: drawing.nodes.filter((node) => node.id !== id && (!partner || node.kind !== partner)), wires: null };
}

/** A step as text, to be pasted here or in another project. */
export function copiedStep(step: Step): string {
  return JSON.stringify({ smidgen: "step", kind: step.kind, settings: step.settings });
}

/** The step that a copied text holds; null for any other text, and for a step that this project's recipes do not have. */
export function pastedStep(text: string, kinds: readonly Kind[]): Kind | null {
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isTable(told) || told["smidgen"] !== "step") return null;
  const { kind: name, settings } = told;
  const kind = kinds.find((one) => one.name === name);
  return kind && isTable(settings) && Object.values(settings).every(isTable) ? { ...kind, starts: settings as Kind["starts"] } : null;
}

/** The drawing with a pasted step: with its settings in place of those that the step here had, or added. */
export function withPasted(drawing: Drawing, pasted: Kind, kinds: readonly Kind[]): Drawing {
  const there = drawing.nodes.some((node) => node.kind === pasted.name);
  if (there) return { ...drawing, nodes: drawing.nodes.map((node) => (node.kind === pasted.name ? { ...node, settings: pasted.starts } : node)) };
  return withStep(drawing, pasted, kinds.map((kind) => (kind.name === pasted.name ? pasted : kind)));
}

/** The drawing with a wire; another one into the same input goes. */
export function withWire(drawing: Drawing, shown: readonly Wire[], wire: Wire): Drawing {
  return { ...drawing, wires: [...shown.filter((one) => one.target !== wire.target || one.input !== wire.input), wire] };
}

/** The drawing without a wire. */
export function withoutWire(drawing: Drawing, shown: readonly Wire[], wire: Wire): Drawing {
  return { ...drawing, wires: shown.filter((one) => !sameWire(one, wire)) };
}

export function sameWire(a: Wire, b: Wire): boolean {
  return a.source === b.source && a.output === b.output && a.target === b.target && a.input === b.input;
}

export function wireName(wire: Wire): string {
  return `${wire.source}.${wire.output}>${wire.target}.${wire.input}`;
}

export interface Fit {
  /** The step at the other end. */
  kind: string;
  port: string;
  /** Whether it is on the canvas already, or would be added. */
  there: boolean;
}

/** What fits a port: the ports of its type at the other steps, on the canvas or to be added. */
export function fitting(side: "input" | "output", own: string, port: Port, drawing: Drawing, kinds: readonly Kind[]): Fit[] {
  const there = new Set(drawing.nodes.map((node) => node.kind));
  return kinds
    .filter((kind) => kind.name !== own)
    .flatMap((kind) => (side === "input" ? kind.outputs : kind.inputs).filter((other) => other.type === port.type).map((other) => ({ kind: kind.name, port: other.name, there: there.has(kind.name) })));
}

/** Settings that go over the drawing's own, section by section, as a recipe's tree; undefined where the tree needs no change. */
export function laidOver(tree: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...tree };
  for (const [name, value] of Object.entries(over)) {
    const own = merged[name];
    merged[name] = isTable(own) && isTable(value) ? laidOver(own, value) : value;
  }
  return merged;
}

/** Whether two recipes say the same, in whatever order. */
export function sameSettings(one: unknown, other: unknown): boolean {
  if (!isTable(one) || !isTable(other)) return JSON.stringify(one) === JSON.stringify(other);
  return Object.keys(one).length === Object.keys(other).length && Object.entries(one).every(([name, value]) => name in other && sameSettings(value, other[name]));
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface Place {
  stage: string;
  column: number;
  row: number;
}

const LAST_STAGE = "service";
export const STAGES = ["examples", "model", LAST_STAGE] as const;
/** The lanes of the drawing from above; in one of them lie the models that a build tries, which are no steps. */
export const LANES = ["examples", "model", "tried", LAST_STAGE] as const;

/** Where each step stands: in the lane of its stage, right of what it gets something from, and near it. */
export function layout(nodes: readonly Step[], wires: readonly Wire[], kinds: readonly Kind[]): Map<string, Place> {
  const stageOf = new Map(nodes.map((node) => [node.id, kinds.find((kind) => kind.name === node.kind)?.stage ?? LAST_STAGE]));
  const places = new Map<string, Place>();
  let widest = 4;
  for (const stage of STAGES) {
    const lane = nodes.filter((node) => stageOf.get(node.id) === stage);
    const inner = wires.filter((wire) => stageOf.get(wire.source) === stage && stageOf.get(wire.target) === stage && wire.source !== wire.target);
    const layers = layersOf(lane.map((node) => node.id), inner);
    const width = Math.max(0, ...layers.values());
    const outer = wires.filter((wire) => stageOf.get(wire.target) === stage);
    const pull = outer.flatMap((wire) => {
      const from = places.get(wire.source);
      return from ? [from.column - (layers.get(wire.target) ?? 0)] : [];
    });
    const wanted = pull.length === 0 ? 0 : Math.round(pull.reduce((sum, one) => sum + one, 0) / pull.length);
    const start = Math.max(0, Math.min(wanted, widest - width));
    widest = Math.max(widest, start + width);
    const rows = new Map<number, number>();
    for (const node of lane) {
      const column = start + (layers.get(node.id) ?? 0);
      const row = rows.get(column) ?? 0;
      rows.set(column, row + 1);
      places.set(node.id, { stage, column, row });
    }
  }
  return places;
}

/** Of each step the longest way to it, in wires. Wires in a circle count once. */
function layersOf(ids: readonly string[], wires: readonly Wire[]): Map<string, number> {
  const layers = new Map(ids.map((id) => [id, 0]));
  for (let round = 0; round < ids.length; round += 1) {
    let moved = false;
    for (const wire of wires) {
      const next = Math.min((layers.get(wire.source) ?? 0) + 1, ids.length - 1);
      if (next > (layers.get(wire.target) ?? 0)) {
        layers.set(wire.target, next);
        moved = true;
      }
    }
    if (!moved) break;
  }
  return layers;
}

const SIGHT_MARGIN = 24;

/** By how much something moves along one axis to lie within a frame, a margin inside its edge; 0 where it does. */
export function shiftInto(start: number, length: number, frame: number): number {
  if (start < SIGHT_MARGIN) return SIGHT_MARGIN - start;
  return Math.min(0, Math.max(frame - SIGHT_MARGIN - length - start, SIGHT_MARGIN - start));
}
