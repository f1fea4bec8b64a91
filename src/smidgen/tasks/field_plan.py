"""What a tagger can do of a schema's fields: which of them stand in the texts and become a value by their own way, which are a choice that
is told by the whole text; or why it cannot fill in this schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from smidgen.core.rows import joined
from smidgen.stats import filled
from smidgen.tasks import field_marks, field_ways, form_bounds
from smidgen.tasks.field_schema import Schema, bare, kind_of
from smidgen.tasks.field_values import settles
from smidgen.tasks.field_ways import Fits

if TYPE_CHECKING:
    from smidgen.core.rows import Text

LEAST = 0.95
"""The share of a field's values that must stand in their texts."""

Plan = dict[str, Any]
"""JSON-ready; `tagged` in the form. `against`: why a tagger cannot fill in this schema, a clause for each field; else `kinds`, the paths of
the fields that are found in the text; `ways`, of each how words become its value, whether it is a `list` and whether that never has a
value twice (`distinct`); `choices`, the fields that are told by the whole text, each its `path` and `values`, None being no value;
`threshold`, how likely a value must be to be given."""


def planned(texts: Sequence[Text], outputs: Sequence[Mapping[str, Any]], schema: Schema) -> Plan:
    """The plan for a schema, from training texts and their objects, settled in the schema's types."""
    nodes = dict(filled.paths(schema))
    deep = [
        f"{path} is a list of {'objects' if 'properties' in node['items'] else 'lists'}" for path, node in nodes.items() if _is_deep(node)
    ]
    if deep:
        return {"against": deep}
    whole = [joined(text) for text in texts]
    rows = [filled.by_path(output) for output in outputs]
    wanted = {path: [value for row in rows for value in row.get(path, ())] for path in nodes}
    fits = fitting(schema)
    ways = {path: _way(whole, rows, path, nodes[path], wanted[path]) for path in nodes if wanted[path]}
    choices: list[str] = []
    while True:
        kinds = [path for path in ways if path not in choices]
        plan = {"kinds": kinds, "ways": [ways[path] for path in kinds], "choices": []}
        shares = _shares(whole, rows, plan, fits)
        copied_too_seldom = [path for path in kinds if shares[path] < LEAST]
        told = [path for path in copied_too_seldom if _is_choice(nodes[path])]
        if not told:
            break
        choices += told
    against = [
        f"{path}: {math.floor(100 * shares[path])}% of its values stand in their texts, {LEAST:.0%} are needed"
        for path in copied_too_seldom
        if path not in choices
    ]
    if not kinds and not against:
        against = ["no field has values that stand in the texts"]
    if against:
        return {"against": against}
    plan["choices"] = [{"path": path, "values": _choices(rows, path, nodes[path])} for path in nodes if path in choices]
    return {**plan, "threshold": 0.5}


def fault(plan: Any, schema: Schema, raw: Mapping[str, Any] | None = None) -> str:
    """Why a plan that came with a bundle cannot be followed for a schema, or for what the model computes; empty where it can."""
    if not isinstance(plan, dict):
        return "tagged is no object"
    if "kinds" not in plan:
        return "" if isinstance(plan.get("against"), list) else "tagged has neither kinds nor reasons against them"
    nodes = dict(filled.paths(schema))
    kinds, ways, choices = plan["kinds"], plan.get("ways"), plan.get("choices")
    if not isinstance(kinds, list) or not isinstance(ways, list) or not isinstance(choices, list) or len(kinds) != len(ways):
        return "tagged must have kinds and ways, as many of each, and choices"
    told = [*kinds, *(choice.get("path") if isinstance(choice, dict) else None for choice in choices)]
    if odd := [path for path in told if not isinstance(path, str) or path not in nodes]:
        return f"tagged names {str(odd[0])[:80]!r}, which is no field of the schema"
    if len(set(told)) != len(told):
        return "tagged names a field twice"
    for choice in choices:
        if not isinstance(choice.get("values"), list) or not choice["values"]:
            return f"the choice {choice['path']} has no values"
    if why := next(filter(None, map(field_ways.fault, ways)), ""):
        return why
    if why := form_bounds.number(plan, "threshold", 0.0, 1.0):
        return f"tagged: {why}"
    heat = plan.get("temperatures", {})
    if not isinstance(heat, dict):
        return "tagged: temperatures is no object"
    if why := next(filter(None, (form_bounds.temperature(heat, path) for path in heat)), ""):
        return f"tagged: temperatures: {why}"
    if raw is not None and "spans" in raw:
        counts = [[len(own) for own in each] for each in raw.get("choices") or [[] for _ in raw["spans"]]]
        if any(each != [len(choice["values"]) for choice in choices] for each in counts):
            return "the model makes other choices than the form names"
        if any(not 0 <= span[2] < len(kinds) for found in raw["spans"] for span in found):
            return "the model finds spans of a field that the form does not name"
    return ""


def fitting(schema: Schema) -> dict[str, Fits]:
    """For each field whether a value may be its value, of a list one of its elements."""
    from jsonschema import Draft202012Validator

    def one(node: Schema) -> Fits:
        valid = Draft202012Validator(bare(node), format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid
        return lambda value: settles(value, node) and valid(value)

    return {path: one(node.get("items", node)) for path, node in filled.paths(schema)}


def _way(texts: Sequence[str], rows: Sequence[Mapping[str, list[Any]]], path: str, node: Schema, values: Sequence[Any]) -> dict[str, Any]:
    """How the words of a field become its value, with whether it is a list."""
    one = node.get("items", node)
    kind = field_ways.kind(one, values)
    votes = [
        place.vote
        for text, row in zip(texts, rows, strict=True)
        for value in row.get(path, ())
        for place in field_ways.places(text, value, kind)
    ]
    known = [value for value in one.get("enum", (True, False)) if value is not None]
    way = field_ways.settle(kind, votes, known)
    listed = "items" in node
    distinct = all(len({repr(value) for value in row.get(path, ())}) == len(row.get(path, ())) for row in rows)
    return {**way, "list": listed, "distinct": distinct}


def _shares(texts: Sequence[str], rows: Sequence[Mapping[str, list[Any]]], plan: Plan, fits: Mapping[str, Fits]) -> dict[str, float]:
    """The share of the values of each field that a place of its own can be found for."""
    found = dict.fromkeys(plan["kinds"], 0)
    for marks in field_marks.found(texts, rows, plan, fits):
        for path, own in marks.items():
            found[path] += sum(bool(places) for places in own)
    total = {path: sum(len(row.get(path, ())) for row in rows) for path in plan["kinds"]}
    return {path: found[path] / total[path] for path in plan["kinds"]}


def _is_deep(node: Schema) -> bool:
    return "items" in node and kind_of(node["items"])[0] in ("object", "array")


def _is_choice(node: Schema) -> bool:
    return "items" not in node and ("enum" in node or kind_of(node)[0] == "boolean")


def _choices(rows: Sequence[Mapping[str, list[Any]]], path: str, node: Schema) -> list[Any]:
    """The values that rows have, in the schema's order; None last, where some row has none."""
    seen = [row[path][0] if path in row else None for row in rows]
    known = [value for value in node.get("enum", (True, False)) if value is not None]
    return [*(value for value in known if value in seen), *([None] if None in seen else [])]
