"""The canvas: a recipe as a graph of nodes and wires, and a graph as a recipe. Both ways nothing is lost, known or not.

A node stands for a step of the way from examples to a served model, and holds the settings of that step. Which nodes there are follows from
the recipe's sections, the settings in them from the parts that own them: a new section, part or setting appears by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.core.settings import section_of, settings_of
from smidgen.parts import registry
from smidgen.parts.recipe import OWNERS, ROUTE, owners_of
from smidgen.studio.flows.recipes.build_settings import purpose_of, setting_schemas

Tree = Mapping[str, Any]
TOP = ""
"""The name under which a node holds settings of no section: `name`, `task`, `seed`."""
UNKNOWN = "unknown"
"""The kind of a node that holds a section which smidgen does not know."""


@dataclass(frozen=True, slots=True)
class CanvasPort:
    """A place where a wire begins or ends. Only ports of one type fit together."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class NodeKind:
    """A kind of node.

    Attributes:
        name: how it is called; also the id of its node, since a recipe holds each step once.
        stage: where on the way it stands: "examples", "model" or "service".
        inputs, outputs: its ports.
        needed: every build takes this step, whether or not the recipe says anything about it.
        partner: another kind without which it is never there.
        asks: the kind that has to be there for it to do anything.
        must: the setting without which it does nothing.
        starts: the settings with which it is added.
    """

    name: str
    stage: str
    inputs: tuple[CanvasPort, ...] = ()
    outputs: tuple[CanvasPort, ...] = ()
    needed: bool = False
    partner: str = ""
    asks: str = ""
    must: str = ""
    starts: Tree = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CanvasNode:
    """A step with its settings, by section. `inputs` and `outputs` are those of its kind."""

    id: str
    kind: str
    settings: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CanvasWire:
    """A connection: from an output of one node to an input of another."""

    source: str
    output: str
    target: str
    input: str


@dataclass(frozen=True, slots=True)
class CanvasGraph:
    """A recipe as a graph."""

    nodes: tuple[CanvasNode, ...]
    wires: tuple[CanvasWire, ...]


@dataclass(frozen=True, slots=True)
class SettingMistake:
    """A mistake: its place in the recipe, the node that it stands at, and what it is."""

    place: str
    node: str
    text: str


def _ports(*names: str) -> tuple[CanvasPort, ...]:
    return tuple(CanvasPort(name, name) for name in names)


_LABELLING: Tree = {"data.teacher": {"uses": ["label"]}}
_STEPS = (
    NodeKind("data", "examples", (), _ports("examples"), needed=True),
    NodeKind("check", "examples", _ports("examples"), _ports("examples"), needed=True),
    NodeKind("split", "examples", _ports("examples"), _ports("examples", "holdout"), needed=True),
    NodeKind("redact", "examples", _ports("examples"), _ports("redacted"), partner="teacher"),
    NodeKind("teacher", "examples", _ports("redacted"), _ports("labels"), partner="redact", must="source", starts=_LABELLING),
    NodeKind("task", "model", (), _ports("task"), needed=True),
    NodeKind("base", "model", (), _ports("base"), needed=True),
    NodeKind("student", "model", _ports("examples", "labels", "task", "base"), _ports("model"), needed=True),
    NodeKind("compress", "model", _ports("model"), _ports("model"), needed=True),
    NodeKind("gate", "model", _ports("model", "holdout"), _ports("bundle"), needed=True),
    NodeKind("certificate", "service", _ports("bundle"), _ports("bundle"), asks="route", starts={ROUTE: {"quality": 0.95}}),
    NodeKind("serve", "service", _ports("bundle"), _ports("requests", "address"), needed=True),
    NodeKind("page", "service", _ports("address"), (), needed=True),
    NodeKind("desk", "service", _ports("address"), (), needed=True),
    NodeKind("capture", "service", _ports("requests"), _ports("requests"), starts={ROUTE: {"capture": "answers"}}),
    NodeKind("unsure", "service", _ports("requests"), _ports("requests"), needed=True),
    NodeKind("cache", "service", _ports("requests"), _ports("requests"), asks="route", starts={ROUTE: {"cache": "exact"}}),
    NodeKind("privacy", "service", _ports("requests"), _ports("requests"), asks="route", starts={ROUTE: {"privacy": "mask"}}),
    NodeKind("budget", "service", _ports("requests"), _ports("requests"), asks="route", starts={ROUTE: {"budget_day": 5.0}}),
    NodeKind("route", "service", _ports("requests"), (), must="fallback", starts={ROUTE: {"when_upstream_fails": "error"}}),
)
"""The steps in their order. What a node gets comes from the nearest step before it that hands on this type."""
_OF_A_DESK, _OF_OTHERS = ("desk",), ("page", "unsure")
"""Steps that only a task that converses has, and steps that every other task has."""

_HOLDER = {
    **dict.fromkeys(("data.dedupe", "data.max_rows", "data.max_cell"), "check"),
    **dict.fromkeys(("data.test", "data.test_share", "data.holdout"), "split"),
    **dict.fromkeys(("data.teacher.redact", "data.teacher.redact_kinds"), "redact"),
    "data.teacher": "teacher",
    "train": "student",
    **dict.fromkeys(("route.local", "route.local_score"), "unsure"),
    ".name": "serve",
    ".task": "task",
    ".seed": "split",
}
"""Where a setting or a section is held by another node than the one with the section's name."""
_HOLDER_OF_PART = {"fallback": "route", "local": "certificate"}
"""Where a part of `[route]` is held by another node than one named as that part."""
_TITLES = {
    **{"task": "Job", "student": "Your model", "compress": "Shrink", "gate": "Conditions", "capture": "Collect", "route": "Large model"},
    **{"serve": "API", "page": "Web page", "unsure": "Is it sure?"},
    **{"source": "Address", "fallback": "Address"},
}
"""Names on the page that differ from those in the recipe."""
_OF_THE_PROJECT = ("train", "test", "unlabelled", "input", "label")
"""Settings of `[data]` that a project's own rows stand in for."""


def kinds_of(task: str, student: str | None = None) -> tuple[NodeKind, ...]:
    """The kinds of nodes of a task's recipes, in the order of the steps."""
    steps = tuple(kind for kind in _STEPS if kind.name not in (_OF_OTHERS if _converses(task) else _OF_A_DESK))
    known = {kind.name for kind in steps}
    held = [_kind_of(section, name, task) for section, owner in owners_of(task, student).items() for name in settings_of(owner)]
    more = [name for name in dict.fromkeys(held) if name not in known]
    return (*steps, *(NodeKind(name, "service", _ports("bundle"), (), starts=_empty(name)) for name in more))


def _converses(task: str) -> bool:
    return task in registry.names("tasks") and bool(registry.find("tasks", task).serving)


def _empty(kind: str) -> Tree:
    return {kind: {}} if kind in OWNERS else {ROUTE: {}}


def schemas_of(task: str, student: str | None = None) -> dict[str, dict[str, Any]]:
    """For each kind of node the JSON Schemas of its settings: kind -> section -> schema."""
    found: dict[str, dict[str, Any]] = {}
    for section, owner in owners_of(task, student).items():
        for name, schema in setting_schemas(section, owner, task).items():
            held = found.setdefault(_kind_of(section, name, task), {})
            told = {"type": "object", "description": purpose_of(owner), "properties": {}}
            fixed = {"readOnly": True} if section == "data" and name in _OF_THE_PROJECT else {}
            held.setdefault(section, told)["properties"][name] = {**schema, **fixed}
    found.setdefault("serve", {})[TOP] = _top("name", {"type": "string", "maxLength": 100, "description": "Name of the model."})
    seed = "Every random choice comes from this number: the same seed on the same machine gives the same model."
    whole = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "default": 0, "description": seed}
    found.setdefault("split", {})[TOP] = _top("seed", whole)
    return found


def _top(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"title": name.title(), **schema}}}


@functools.cache
def _route_parts() -> dict[str, str]:
    """Of each setting of `[route]` the part that it belongs to."""
    owner = owners_of(registry.names("tasks")[0])[ROUTE]
    parts = {name: section_of(known) for name, known in owner.model_fields.items()}
    return {setting: name for name, inner in parts.items() if inner is not None for setting in settings_of(inner)}


def _kind_of(section: str, name: str, task: str) -> str:
    """The kind of node that holds a setting. Settings that smidgen does not know are held where their section is."""
    place = f"{section}.{name}"
    if place in _HOLDER and not (_HOLDER[place] in _OF_OTHERS and _converses(task)):
        return _HOLDER[place]
    if section == ROUTE:
        part = _route_parts().get(name, "fallback")
        return _HOLDER_OF_PART.get(part, part)
    if section in _HOLDER:
        return _HOLDER[section]
    if section == task:
        return "task"
    return section if section in OWNERS else f"{UNKNOWN}:{section or name}"


def lifted(tree: Tree) -> dict[str, dict[str, Any]]:
    """The settings of a recipe by section; `[data.teacher]` is a section of its own, and what is in none lies in `TOP`."""
    found: dict[str, dict[str, Any]] = {}
    for section, held in tree.items():
        if not isinstance(held, dict) or section == TOP:
            found.setdefault(TOP, {})[section] = held
            continue
        own = found.setdefault(section, {})
        for name, value in held.items():
            if f"{section}.{name}" in OWNERS and isinstance(value, dict):
                found[f"{section}.{name}"] = {**value, **found.get(f"{section}.{name}", {})}
                if len(held) == 1:
                    del found[section]  # it held nothing of its own
            else:
                own[name] = value
    return found


def graph_of(tree: Tree, task: str) -> CanvasGraph:
    """A recipe as a graph."""
    settings: dict[str, dict[str, dict[str, Any]]] = {}
    for section, held in lifted(tree).items():
        if not held:
            settings.setdefault(_kind_of(section, "", task), {})[section] = {}
        for name, value in held.items():
            kind = name if section == TOP and name in OWNERS else _kind_of(section, name, task)
            settings.setdefault(kind, {}).setdefault(section, {})[name] = value
    kinds = kinds_of(task)
    there = {kind.name for kind in kinds if kind.needed or kind.name in settings}
    there |= {kind.name for kind in kinds if kind.partner in there}
    nodes = [CanvasNode(kind.name, kind.name, settings.pop(kind.name, {})) for kind in kinds if kind.name in there]
    nodes += [CanvasNode(name, UNKNOWN if name.startswith(UNKNOWN) else name, held) for name, held in settings.items()]
    return CanvasGraph(tuple(nodes), tuple(wires_of([node.kind for node in nodes], kinds)))


def wires_of(there: Sequence[str], kinds: Sequence[NodeKind]) -> Iterator[CanvasWire]:
    """The wires between these kinds of nodes."""
    giving: dict[str, str] = {}
    for kind in kinds:
        if kind.name in there:
            for port in kind.inputs:
                if port.type in giving:
                    yield CanvasWire(giving[port.type], port.type, kind.name, port.name)
            giving |= {port.type: kind.name for port in kind.outputs}


def tree_of(graph: CanvasGraph) -> dict[str, Any]:
    """A graph as a recipe: the settings of all its nodes."""
    tree: dict[str, Any] = {}
    for node in graph.nodes:
        for section, held in node.settings.items():
            outer, dot, inner = section.partition(".")
            if section == TOP:
                tree |= held
            elif dot and section in OWNERS:
                tree.setdefault(outer, {}).setdefault(inner, {}).update(held)
            else:
                tree.setdefault(section, {}).update(held)
    order = ["name", "task", "seed", *(name for name in owners_of(registry.names("tasks")[0]) if name in OWNERS)]
    return {name: tree[name] for name in sorted(tree, key=lambda name: order.index(name) if name in order else len(order))}


def wiring_mistakes(graph: CanvasGraph, task: str) -> list[SettingMistake]:
    """Mistakes of the nodes and wires themselves: a step that is missing, not connected, or without effect."""
    kinds = kinds_of(task)
    there = [node.kind for node in graph.nodes]
    found = [SettingMistake("", kind.name, "every build needs this step; add it again") for kind in kinds
             if kind.needed and kind.name not in there]  # fmt: skip
    for wire in wires_of(there, kinds):
        if wire not in graph.wires:
            found.append(SettingMistake("", wire.target, f"a connection is missing; connect it to the step {_title(wire.source)}"))
    for node, kind in ((node, kind) for node in graph.nodes for kind in kinds if node.kind == kind.name and not kind.needed):
        given = {name for held in node.settings.values() for name in held}
        if kind.partner and kind.partner not in there:
            found.append(SettingMistake("", kind.name, f"it needs the step {_title(kind.partner)}; add that, or remove this one"))
        if kind.asks and kind.asks not in there:
            found.append(SettingMistake("", kind.name, f"it needs the step {_title(kind.asks)}; add that, or remove this one"))
        if kind.must and kind.must not in given:
            found.append(SettingMistake("", kind.name, f"its setting {_title(kind.must)} is missing; fill it in, or remove this step"))
        elif kind.starts and not node.settings:
            found.append(SettingMistake("", kind.name, "none of its settings is filled in; fill one in, or remove this step"))
    return found


def _title(name: str) -> str:
    """The name on the page of a step, or of the setting that it must have."""
    return _TITLES.get(name, name.capitalize())


def node_of(place: str, task: str) -> str:
    """The node at which a mistake at this place of the recipe stands: `gate.max_loss`, `data.teacher.votes`, `seed`."""
    section = next((name for name in sorted(OWNERS, key=len, reverse=True) if place == name or place.startswith(f"{name}.")), "")
    if section:
        return _kind_of(section, place.removeprefix(section).lstrip(".").partition(".")[0], task)
    outer, dot, inner = place.partition(".")
    return _kind_of(outer, inner.partition(".")[0], task) if dot or outer == task or outer in _HOLDER else _kind_of(TOP, outer, task)
