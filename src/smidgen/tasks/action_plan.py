"""How a tagger makes calls: which arguments it finds in the text, which it chooses by the whole text, and what it is trained on.

The tool is a choice, like the arguments that texts do not state word by word. Arguments that texts state are kinds of span. Tools that
have an argument of the same name and schema share it, so that each learns from the examples of all.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from smidgen.core.rows import Row, Text, joined
from smidgen.stats import field_values
from smidgen.tasks import field_parsing, field_tagging
from smidgen.tasks.action_tools import ToolFacts, called
from smidgen.tasks.field_parsing import NEXT, Fits
from smidgen.tasks.field_schema import Schema, bare, kind_of
from smidgen.tasks.general_messages import general_messages
from smidgen.text.word_classes import OPEN, class_of

TOOL = "tool"
"""The path of the choice of the tool."""

LEAST_STATED = 0.5
"""The least share of an argument's values that texts must state, for a tagger to look for it in the text."""
_MOST_CHOSEN, _OFTEN = 20, 3
"""A text argument that texts do not state is chosen if it has at most so many values, each in at least so many rows."""

Plan = dict[str, Any]
"""The plan, JSON-ready: `kinds`, `ways`, `choices` and `threshold` as in `field_tagging.Plan`. The first choice is the tool, with `texts`
that describe its values, one or several each, and `kinds`, the numbers of the kinds that each may have. An argument with a fixed set of
values may be a kind and a choice. A way of texts has `edges`, see `_edges`. `abstain`: the least probability of a tool that is called.
`left_out`: why a tagger never fills in an argument, by its path."""


class SharedArguments:
    """The arguments of several tools in one flat schema: tools that have an argument of the same name and schema share it."""

    def __init__(self, tools: Sequence[ToolFacts]) -> None:
        self.tools = {tool["name"]: tool["parameters"] for tool in tools}
        nodes: dict[str, Schema] = {TOOL: {"type": ["string", "null"], "enum": [*called(tools), None]}}
        self.keys: dict[str, dict[str, str]] = {}
        for name, schema in self.tools.items():
            own = self.keys[name] = {}
            for argument, node in schema["properties"].items():
                key = argument if nodes.get(argument, _compared(node)) == _compared(node) else f"{name}/{argument}"
                nodes.setdefault(key, _compared(node))
                own[argument] = key
        self.schema: Schema = {"type": "object", "properties": nodes, "required": [], "additionalProperties": False}

    @cached_property
    def fits(self) -> dict[str, Fits]:
        """For each path of the flat schema a test of its values."""
        return field_tagging.fitting(self.schema)

    @cached_property
    def paths(self) -> dict[str, dict[str, str]]:
        """For each tool, the paths of its arguments in the flat schema, with those in its own."""
        found: dict[str, dict[str, str]] = {}
        for name, schema in self.tools.items():
            own = found[name] = {}
            for argument, node in schema["properties"].items():
                key = self.keys[name][argument]
                inner = [f".{path}" for path, _ in field_values.schema_paths(node)] if "properties" in node else [""]
                own |= {f"{key}{rest}": f"{argument}{rest}" for rest in inner}
        return found

    def flat(self, call: Mapping[str, Any] | None) -> dict[str, Any]:
        """A call as an object of the flat schema."""
        if call is None:
            return {}
        keys = self.keys[call["tool"]]
        return {TOOL: call["tool"], **{keys[argument]: value for argument, value in call["arguments"].items()}}


def plan_for(
    texts: Sequence[Text], calls: Sequence[Mapping[str, Any] | None], tools: Sequence[ToolFacts], today: str | None = None
) -> Plan:
    """Make the plan for some tools, from training texts and their calls. `today`: the day that `tomorrow` and the like count from, in
    these texts and in later ones; None for the day of reading."""
    shared = SharedArguments(tools)
    whole = [joined(text) for text in texts]
    rows = [field_values.values_by_path(shared.flat(call)) for call in calls]
    nodes = {path: node for path, node in field_values.schema_paths(shared.schema) if path != TOOL}
    wanted = {path: [value for row in rows for value in row.get(path, ())] for path in nodes}
    deep = {path for path, node in nodes.items() if field_tagging.is_deep(node)}
    ways = {path: field_tagging.way_of(whole, rows, path, nodes[path], wanted[path]) for path in nodes if wanted[path] and path not in deep}
    for way in ways.values():
        if way["kind"] == "date":
            way["today"] = today or ""
    ways |= {path: _with_coming(way, whole, rows, path, shared) for path, way in ways.items() if way["kind"] == "date"}
    for path, way in ways.items():
        if way["kind"] == "text" and not nodes[path].get("pattern") and not nodes[path].get("format"):
            way["edges"] = _edges(wanted[path])
    left_out = {path: "it is a list of objects or lists" for path in nodes if path in deep and wanted[path]}
    chosen: list[str] = []
    while True:
        kinds = [path for path in ways if path not in chosen and path not in left_out]
        plan: Plan = {"kinds": kinds, "ways": [ways[path] for path in kinds], "choices": []}
        shares = field_tagging.stated_shares(whole, rows, plan, shared.fits)
        seldom = [path for path in kinds if shares[path] < LEAST_STATED and _is_chosen(nodes[path], wanted[path])]
        never = [path for path in kinds if shares[path] < LEAST_STATED and path not in seldom]
        if not seldom and not never:
            break
        chosen += seldom
        left_out |= {path: f"the texts state {math.floor(100 * shares[path])}% of its values" for path in never}
    plan["choices"] = [
        _tool_choice(
            tools, whole, calls, {name: [kinds.index(path) for path in own if path in kinds] for name, own in shared.paths.items()}
        ),
        *({"path": path, "values": _values(calls, rows, path, nodes[path], shared)} for path in nodes if path in chosen),
        *(
            {"path": path, "values": _values(calls, rows, path, nodes[path], shared)}
            for path in plan["kinds"]
            if _is_chosen_too(nodes[path])
        ),
    ]
    for choice in plan["choices"][1:]:
        if all(value is None or isinstance(value, str) for value in choice["values"]):
            choice["texts"] = [(value or "").replace("_", " ") for value in choice["values"]]
    return {**plan, "threshold": 0.5, "abstain": 0.5, "left_out": left_out}


def marked_rows(rows: Sequence[Row], plan: Plan, shared: SharedArguments) -> list[Row]:
    """The rows to train a tagger on: places of arguments, and choices. An argument that the called tool does not have is no choice."""
    flat = [replace(row, output=shared.flat(row.output)) for row in rows]
    made = []
    for row, marked in zip(rows, field_tagging.marked_rows(flat, plan, shared.fits), strict=True):
        own = {TOOL, *(shared.paths[row.output["tool"]] if row.output is not None else ())}
        chosen = [number if choice["path"] in own else -1 for choice, number in zip(plan["choices"], marked.output["choices"], strict=True)]
        made.append(replace(marked, output={**marked.output, "choices": chosen}))
    return made


def fault(plan: Any, shared: SharedArguments, raw: Mapping[str, Any] | None = None) -> str:
    """Why a plan from a bundle cannot be followed; empty if it can."""
    if not isinstance(plan, dict) or "kinds" not in plan:
        return "tagged is not a plan"
    if why := field_tagging.fault(plan, shared.schema, raw, both=True):
        return why
    first: dict[str, Any] = next(iter(plan["choices"]), {})
    if first.get("path") != TOOL or not set(first["values"]) <= {*shared.tools, None}:
        return "the first choice of tagged is not that of the tool"
    abstain = plan.get("abstain")
    if isinstance(abstain, bool) or not isinstance(abstain, int | float) or not 0 <= abstain <= 1:
        return f"tagged: abstain is {abstain!r}; it must be a number from 0 to 1"
    return ""


def _tool_choice(
    tools: Sequence[ToolFacts], texts: Sequence[str], calls: Sequence[Mapping[str, Any] | None], kinds: Mapping[str, list[int]]
) -> dict[str, Any]:
    """The choice of the tool, with a text that describes each, its name and description; and the kinds of its arguments. Where fewer texts
    have no call than have the most frequent one, general messages describe it."""
    named = [None if call is None else call["tool"] for call in calls]
    most = max(Counter(name for name in named if name is not None).values(), default=0)
    general = general_messages(texts, most - named.count(None), texts)
    none = [None] if general or None in named else []
    used = [tool for tool in tools if tool["name"] in named]
    values = [*called(used), *none]
    described = [f"{tool['name'].replace('_', ' ')}: {tool['description']}" for tool in used]
    own = [kinds[value] if value is not None else [] for value in values]
    return {"path": TOOL, "values": values, "texts": [*described, *([general] if none else [])], "kinds": own}


def _is_chosen_too(node: Schema) -> bool:
    """Whether an argument that texts state is also chosen by the whole text, for texts that use another word for its value."""
    return field_tagging.is_choice(node)


_BESIDE_NAMES = ("before", "adverb", "joining", "person", "polite", "asking")
"""Classes of words that seldom begin or end a name or a thing."""
_WORD = re.compile(r"[^\W_]+")


def edge_class(word: str) -> str:
    """The class of a word at the end of a value: one in capitals belongs to a name."""
    own = class_of(word)
    return own if own in _BESIDE_NAMES and word.islower() and word != "an" else OPEN


def _edges(values: Sequence[str]) -> list[list[str]]:
    """The classes of the first and of the last words of values; names and things are among them in any case."""
    words = [_WORD.findall(value) for value in values]
    return [sorted({OPEN, *(edge_class(own[place]) for own in words if own)}) for place in (0, -1)]


def _with_coming(
    way: dict[str, Any], texts: Sequence[str], rows: Sequence[Mapping[str, list[Any]]], path: str, shared: SharedArguments
) -> dict[str, Any]:
    """The way of dates in which one without a year is the next such day, if the rows have it so: their years are several, or to come."""
    coming = {**way, "year": NEXT}
    one, other = (
        field_tagging.stated_shares(texts, rows, {"kinds": [path], "ways": [own], "choices": []}, shared.fits)[path]
        for own in (way, coming)
    )
    days = sorted(value for row in rows for value in row.get(path, ()))
    today = way["today"] or datetime.date.today().isoformat()
    return coming if other > one or days[len(days) // 2] >= today else way


def _compared(node: Schema) -> Schema:
    """The part of a schema by which arguments are equal: everything but descriptions, and that a value may be missing."""
    return bare(node)


def _is_chosen(node: Schema, values: Sequence[Any]) -> bool:
    """Whether an argument that texts do not state is chosen by the whole text: it has few values, each seen often enough."""
    if "items" in node:
        return False
    if field_tagging.is_choice(node):
        return True
    if node.get("format") or node.get("pattern") or field_parsing.kind(node, values) != "text":
        return False
    counts = Counter(map(repr, values))
    return kind_of(node)[0] == "string" and len(counts) <= _MOST_CHOSEN and min(counts.values()) >= _OFTEN


def _values(
    calls: Sequence[Mapping[str, Any] | None], rows: Sequence[Mapping[str, list[Any]]], path: str, node: Schema, shared: SharedArguments
) -> list[Any]:
    """The values of a choice that occur in the rows, in the schema's order; None last, if a call of a tool with it has none."""
    having = [row for call, row in zip(calls, rows, strict=True) if call is not None and path in shared.paths[call["tool"]]]
    if field_tagging.is_choice(node):
        return field_tagging.choice_values(having, path, node)
    seen = dict.fromkeys(row[path][0] for row in having if path in row)
    return [*seen, *([None] if any(path not in row for row in having) else [])]
