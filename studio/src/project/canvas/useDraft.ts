import { useCallback, useEffect, useReducer, useState } from "react";

import type { Drawing } from "./graph";
import { type Recipe, type RecipeForm, useCheckedRecipe } from "./queries";

/** What somebody edits: the drawing or the text. The other one is made from it by the server. */
export type Draft = { by: "graph"; drawing: Drawing } | { by: "text"; text: string } | { by: "tree"; tree: Record<string, unknown> };

interface History {
  past: readonly Draft[];
  now: Draft | null;
  future: readonly Draft[];
  /** The edit that is going on: further ones of the same name are one step to undo. */
  going: string;
}

type Move = { move: "edit"; draft: Draft; going: string } | { move: "undo" | "redo" | "settle" | "reset" };

const MOST_STEPS = 200;
const EMPTY: History = { past: [], now: null, future: [], going: "" };

/** The next state of the history of edits. `now` is null as long as nothing was edited. */
export function nextHistory(history: History, move: Move): History {
  const { past, now, future } = history;
  switch (move.move) {
    case "edit": {
      if (move.going !== "" && move.going === history.going) return { ...history, now: move.draft, future: [] };
      return { past: now === null ? past : [...past.slice(-MOST_STEPS), now], now: move.draft, future: [], going: move.going };
    }
    case "undo": {
      const last = past.at(-1);
      if (last === undefined || now === null) return history;
      return { past: past.slice(0, -1), now: last, future: [now, ...future], going: "" };
    }
    case "redo": {
      const [next, ...rest] = future;
      if (next === undefined || now === null) return history;
      return { past: [...past, now], now: next, future: rest, going: "" };
    }
    case "settle":
      return { ...history, going: "" };
    case "reset":
      return EMPTY;
  }
}

function formOf(draft: Draft): RecipeForm {
  if (draft.by === "text") return { text: draft.text };
  if (draft.by === "tree") return { tree: draft.tree };
  return { graph: { nodes: [...draft.drawing.nodes], wires: draft.drawing.wires === null ? null : [...draft.drawing.wires] } };
}

const SETTLE_MS = 900;
const WAIT_MS = 120;

/** The recipe under edit: its two views, its mistakes, and the ways to change it. */
export function useDraft(project: string, stored: Recipe) {
  const [history, dispatch] = useReducer(nextHistory, { ...EMPTY, now: { by: "graph", drawing: stored.graph } });
  const draft = history.now ?? { by: "graph", drawing: stored.graph };
  const waiting = useDelayed(draft, WAIT_MS);
  const edited = history.past.length > 0 || history.future.length > 0;
  const checked = useCheckedRecipe(project, edited ? formOf(waiting) : null);
  const view = checked.data ?? stored;
  useEffect(() => {
    const timer = window.setTimeout(() => dispatch({ move: "settle" }), SETTLE_MS);
    return () => window.clearTimeout(timer);
  }, [history.now]);

  const drawing: Drawing = draft.by === "graph" ? draft.drawing : view.graph;
  const there = new Set(drawing.nodes.map((node) => node.id));
  const edit = useCallback((next: Draft, going = "") => dispatch({ move: "edit", draft: next, going }), []);
  return {
    drawing,
    wires: drawing.wires ?? view.graph.wires.filter((wire) => there.has(wire.source) && there.has(wire.target)),
    text: draft.by === "text" ? draft.text : view.text,
    tree: view.tree,
    mistakes: view.mistakes,
    /** The text cannot be read as a recipe. */
    error: checked.error,
    /** The views of the newest edit are still to come. */
    stale: edited && (checked.isFetching || waiting !== draft),
    form: formOf(draft),
    draft,
    edit,
    canUndo: history.past.length > 0,
    canRedo: history.future.length > 0,
    undo: () => dispatch({ move: "undo" }),
    redo: () => dispatch({ move: "redo" }),
  };
}

export type RecipeDraft = ReturnType<typeof useDraft>;

function useDelayed<V>(value: V, ms: number): V {
  const [late, setLate] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setLate(value), ms);
    return () => window.clearTimeout(timer);
  }, [value, ms]);
  return late;
}
