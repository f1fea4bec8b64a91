"""Fields for a tagger: the plan of the fields that it can fill in, and the spans and choices to train it on.

The plan says which fields are stated in the texts and get their value by a rule, and which are a choice that depends on the whole text;
or why a tagger cannot fill in this schema.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from smidgen.core.forms import LEAST_TEMPERATURE, MOST_TEMPERATURE
from smidgen.core.rows import Row, joined
from smidgen.stats import field_values
from smidgen.tasks import field_parsing
from smidgen.tasks.field_parsing import Fits
from smidgen.tasks.field_schema import Schema, bare, kind_of
from smidgen.tasks.field_values import settles

if TYPE_CHECKING:
    from smidgen.core.rows import Text


# Training rows with marks: the positions where each text states the values of its fields, and its choices.

Stretch = tuple[int, int]
"""Positions of the first character, and after the last."""

_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_BESIDE = 2
"""Words on each side of a position that help to choose among several positions."""
_NEAR = 80  # characters in which to look for them


def marked_rows(rows: Sequence[Row], plan: Mapping[str, Any], fits: Mapping[str, Fits]) -> list[Row]:
    """The rows with `{"spans": [...], "choices": [...]}` as outputs: spans as in the task `extract`, labelled by the fields' paths; for
    each choice the index of the row's value, or -1 if it is not among the choice's values."""
    texts, by_path = [joined(row.input) for row in rows], [field_values.values_by_path(row.output) for row in rows]
    made = []
    for row, values, marks in zip(rows, by_path, places_of_values(texts, by_path, plan, fits), strict=True):
        spans = [
            {"start": start, "end": end, "label": path} for path, own in marks.items() for stretches in own for start, end in stretches
        ]
        chosen = [_number(values.get(choice["path"], [None])[0], choice["values"]) for choice in plan["choices"]]
        made.append(replace(row, output={"spans": sorted(spans, key=lambda span: span["start"]), "choices": chosen}))
    return made


def places_of_values(
    texts: Sequence[str], rows: Sequence[Mapping[str, list[Any]]], plan: Mapping[str, Any], fits: Mapping[str, Fits]
) -> list[dict[str, list[list[Stretch]]]]:
    """The positions that state each value of each field of the plan, for each text. No two overlap.

    A text or a date counts at every position. A number or a word may occur elsewhere by chance: among several positions the one is taken
    whose neighbouring words are most frequent beside unambiguous positions.
    """
    could = [_candidates(text, row, plan, fits) for text, row in zip(texts, rows, strict=True)]
    beside: dict[str, Counter[str]] = {path: Counter() for path in plan["kinds"]}
    for text, marks in zip(texts, could, strict=True):
        for path, own in marks.items():
            for places in own:
                if len(places) == 1:
                    beside[path].update(_beside(text, places[0]))
    ways = dict(zip(plan["kinds"], plan["ways"], strict=True))
    return [_settled(text, marks, ways, beside) for text, marks in zip(texts, could, strict=True)]


def _candidates(
    text: str, row: Mapping[str, list[Any]], plan: Mapping[str, Any], fits: Mapping[str, Fits]
) -> dict[str, list[list[Stretch]]]:
    made = {}
    for path, way in zip(plan["kinds"], plan["ways"], strict=True):
        made[path] = [
            list(
                dict.fromkeys(
                    (place.start, place.end)
                    for place in field_parsing.places(text, value, way["kind"])
                    if field_parsing.states(text[place.start : place.end], value, way, fits[path])
                )
            )
            for value in row.get(path, ())
        ]
    return made


def _settled(
    text: str, could: Mapping[str, list[list[Stretch]]], ways: Mapping[str, Mapping[str, Any]], beside: Mapping[str, Counter[str]]
) -> dict[str, list[list[Stretch]]]:
    """The positions to keep. Values with the longest words come first (the 3 of `3 March` is no quantity), then those with the fewest
    positions."""
    order = sorted(
        ((path, number) for path, own in could.items() for number, places in enumerate(own) if places),
        key=lambda key: (-max(end - start for start, end in could[key[0]][key[1]]), len(could[key[0]][key[1]]), key),
    )
    kept: dict[str, list[list[Stretch]]] = {path: [[] for _ in own] for path, own in could.items()}
    taken = bytearray(len(text))
    for path, number in order:
        free = [(start, end) for start, end in could[path][number] if not any(taken[start:end])]
        everywhere = ways[path]["kind"] in ("text", "date") and ways[path]["distinct"]
        if len(free) > 1 and not everywhere:
            free = [max(free, key=lambda place: (_worth(text, place, beside[path]), -place[0]))]
        kept[path][number] = free
        for start, end in free:
            taken[start:end] = b"\x01" * (end - start)
    return kept


def _worth(text: str, place: Stretch, beside: Counter[str]) -> int:
    """How often the words beside a position occur beside unambiguous positions."""
    return sum(beside[key] for key in _beside(text, place))


def _beside(text: str, place: Stretch) -> list[str]:
    """The words beside a position, each with its distance."""
    before = [match.group().casefold() for match in _WORD.finditer(text, max(0, place[0] - _NEAR), place[0])][-_BESIDE:][::-1]
    after = [match.group().casefold() for match in _WORD.finditer(text, place[1], place[1] + _NEAR)][:_BESIDE]
    return [f"{-1 - far} {word}" for far, word in enumerate(before)] + [f"{1 + far} {word}" for far, word in enumerate(after)]


def _number(value: Any, values: Sequence[Any]) -> int:
    """The index of a value among others; -1 if it is not there. 1.0 equals 1, and True does not."""
    same = (place for place, known in enumerate(values) if known == value and isinstance(known, bool) == isinstance(value, bool))
    return next(same, -1)


# The plan.

LEAST = 0.95
"""The least share of a field's values that their texts must state."""

Plan = dict[str, Any]
"""The plan, JSON-ready; `tagged` in the form. `against`: why a tagger cannot fill in this schema, a clause for each field. Otherwise
`kinds`: the paths of the fields that are found in the text; `ways`: how words become the value of each, whether it is a `list`, and
whether its values are always `distinct`; `choices`: the fields decided from the whole text, each with its `path` and `values`, where
None means no value; `threshold`: the least probability of a value that is given."""


def plan_for(texts: Sequence[Text], outputs: Sequence[Mapping[str, Any]], schema: Schema) -> Plan:
    """Make the plan for a schema, from training texts and their objects in the schema's types."""
    nodes = dict(field_values.schema_paths(schema))
    deep = [
        f"{path} is a list of {'objects' if 'properties' in node['items'] else 'lists'}" for path, node in nodes.items() if is_deep(node)
    ]
    if deep:
        return {"against": deep}
    whole = [joined(text) for text in texts]
    rows = [field_values.values_by_path(output) for output in outputs]
    wanted = {path: [value for row in rows for value in row.get(path, ())] for path in nodes}
    fits = fitting(schema)
    ways = {path: way_of(whole, rows, path, nodes[path], wanted[path]) for path in nodes if wanted[path]}
    choices: list[str] = []
    while True:
        kinds = [path for path in ways if path not in choices]
        plan = {"kinds": kinds, "ways": [ways[path] for path in kinds], "choices": []}
        shares = stated_shares(whole, rows, plan, fits)
        copied_too_seldom = [path for path in kinds if shares[path] < LEAST]
        told = [path for path in copied_too_seldom if is_choice(nodes[path])]
        if not told:
            break
        choices += told
    against = [
        f"{path}: the texts state {math.floor(100 * shares[path])}% of its values, {LEAST:.0%} are needed"
        for path in copied_too_seldom
        if path not in choices
    ]
    if not kinds and not against:
        against = ["no field has values that the texts state"]
    if against:
        return {"against": against}
    plan["choices"] = [{"path": path, "values": choice_values(rows, path, nodes[path])} for path in nodes if path in choices]
    return {**plan, "threshold": 0.5}


def fault(plan: Any, schema: Schema, raw: Mapping[str, Any] | None = None, *, both: bool = False) -> str:
    """Why a plan from a bundle cannot be followed for a schema, or for the model's output; empty if it can. `both`: whether a field may be
    found in the text and chosen, too."""
    if not isinstance(plan, dict):
        return "tagged is not an object"
    if "kinds" not in plan:
        return "" if isinstance(plan.get("against"), list) else "tagged has neither kinds nor reasons against them"
    nodes = dict(field_values.schema_paths(schema))
    kinds, ways, choices = plan["kinds"], plan.get("ways"), plan.get("choices")
    if not isinstance(kinds, list) or not isinstance(ways, list) or not isinstance(choices, list) or len(kinds) != len(ways):
        return "tagged must have kinds and ways, as many of each, and choices"
    told = [*kinds, *(choice.get("path") if isinstance(choice, dict) else None for choice in choices)]
    if odd := [path for path in told if not isinstance(path, str) or path not in nodes]:
        return f"tagged names {str(odd[0])[:80]!r}, which is not a field of the schema"
    named = [kinds, [choice["path"] for choice in choices]] if both else [told]
    if any(len(set(paths)) != len(paths) for paths in named):
        return "tagged names a field twice"
    for choice in choices:
        if not isinstance(choice.get("values"), list) or not choice["values"]:
            return f"the choice {choice['path']} has no values"
    if why := next(filter(None, map(field_parsing.fault, ways)), ""):
        return why
    if why := _number_fault(plan, "threshold", 0.0, 1.0):
        return f"tagged: {why}"
    heat = plan.get("temperatures", {})
    if not isinstance(heat, dict):
        return "tagged: temperatures is not an object"
    if why := next(filter(None, (_number_fault(heat, path, LEAST_TEMPERATURE, MOST_TEMPERATURE) for path in heat)), ""):
        return f"tagged: temperatures: {why}"
    if raw is not None and "spans" in raw:
        counts = [[len(own) for own in each] for each in raw.get("choices") or [[] for _ in raw["spans"]]]
        if any(each != [len(choice["values"]) for choice in choices] for each in counts):
            return "the model makes other choices than the form names"
        if any(not 0 <= span[2] < len(kinds) for found in raw["spans"] for span in found):
            return "the model finds spans of a field that the form does not name"
    return ""


def fitting(schema: Schema) -> dict[str, Fits]:
    """For each field a test whether a value may be its value, or an element of its list."""
    from jsonschema import Draft202012Validator

    def one(node: Schema) -> Fits:
        valid = Draft202012Validator(bare(node), format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid
        return lambda value: settles(value, node) and valid(value)

    return {path: one(node.get("items", node)) for path, node in field_values.schema_paths(schema)}


def way_of(texts: Sequence[str], rows: Sequence[Mapping[str, list[Any]]], path: str, node: Schema, values: Sequence[Any]) -> dict[str, Any]:
    """The rule from a field's words to its value, with `list` and `distinct`."""
    one = node.get("items", node)
    kind = field_parsing.kind(one, values)
    if kind == "number":
        kind = field_parsing.unit_of((text, row.get(path, ())) for text, row in zip(texts, rows, strict=True))
    votes = [
        place.vote
        for text, row in zip(texts, rows, strict=True)
        for value in row.get(path, ())
        for place in field_parsing.places(text, value, kind)
    ]
    known = [value for value in one.get("enum", (True, False)) if value is not None]
    way = field_parsing.settle(kind, votes, known)
    listed = "items" in node
    distinct = all(len({repr(value) for value in row.get(path, ())}) == len(row.get(path, ())) for row in rows)
    return {**way, "list": listed, "distinct": distinct}


def stated_shares(texts: Sequence[str], rows: Sequence[Mapping[str, list[Any]]], plan: Plan, fits: Mapping[str, Fits]) -> dict[str, float]:
    """The share of the values of each field that have a position of their own in their texts."""
    found = dict.fromkeys(plan["kinds"], 0)
    for marks in places_of_values(texts, rows, plan, fits):
        for path, own in marks.items():
            found[path] += sum(bool(places) for places in own)
    total = {path: sum(len(row.get(path, ())) for row in rows) for path in plan["kinds"]}
    return {path: found[path] / total[path] for path in plan["kinds"]}


def is_deep(node: Schema) -> bool:
    """Whether a part of a schema is a list of objects or lists."""
    return "items" in node and kind_of(node["items"])[0] in ("object", "array")


def is_choice(node: Schema) -> bool:
    """Whether a part of a schema is a single value of a fixed set."""
    return "items" not in node and ("enum" in node or kind_of(node)[0] == "boolean")


def choice_values(rows: Sequence[Mapping[str, list[Any]]], path: str, node: Schema) -> list[Any]:
    """The values that occur in the rows, in the schema's order; None last, if a row has no value."""
    seen = [row[path][0] if path in row else None for row in rows]
    known = [value for value in node.get("enum", (True, False)) if value is not None]
    return [*(value for value in known if value in seen), *([None] if None in seen else [])]


def _number_fault(facts: Mapping[str, Any], name: str, low: float, high: float) -> str:
    """Why a number is invalid; empty if it is present, finite and within the bounds. A temperature of 0 would make every score NaN."""
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        return f"{name} is {value!r}; it must be a number from {low:g} to {high:g}"
    return ""
