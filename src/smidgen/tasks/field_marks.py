"""Training rows of fields as a tagger learns from them: the places in each text that say the values of its fields, and its choices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from smidgen.core.rows import Row, joined
from smidgen.stats import filled
from smidgen.tasks import field_ways
from smidgen.tasks.field_ways import Fits

Stretch = tuple[int, int]
"""First character, and one past the last."""

_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_BESIDE = 2
"""Words on either side of a place that tell whether it is the one that is meant."""
_NEAR = 80  # characters in which they are looked for


def marked(rows: Sequence[Row], plan: Mapping[str, Any], fits: Mapping[str, Fits]) -> list[Row]:
    """The rows with `{"spans": [...], "choices": [...]}` as outputs: spans as those of the task `extract`, labelled by the fields' paths;
    of each choice the number of the row's value, -1 for one that is not among its values."""
    texts, by_path = [joined(row.input) for row in rows], [filled.by_path(row.output) for row in rows]
    made = []
    for row, values, marks in zip(rows, by_path, found(texts, by_path, plan, fits), strict=True):
        spans = [
            {"start": start, "end": end, "label": path} for path, own in marks.items() for stretches in own for start, end in stretches
        ]
        chosen = [_number(values.get(choice["path"], [None])[0], choice["values"]) for choice in plan["choices"]]
        made.append(replace(row, output={"spans": sorted(spans, key=lambda span: span["start"]), "choices": chosen}))
    return made


def found(
    texts: Sequence[str], rows: Sequence[Mapping[str, list[Any]]], plan: Mapping[str, Any], fits: Mapping[str, Fits]
) -> list[dict[str, list[list[Stretch]]]]:
    """For each text, for each value of each field of the plan, the places that say it; none where nothing does. No two overlap.

    A text or a date is meant wherever it stands. A number or a word may stand elsewhere by chance: of several places the one is taken that
    has the words beside it that places have where there is no doubt.
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
                    for place in field_ways.places(text, value, way["kind"])
                    if field_ways.value_of(text[place.start : place.end], way, fits[path]) == value
                )
            )
            for value in row.get(path, ())
        ]
    return made


def _settled(
    text: str, could: Mapping[str, list[list[Stretch]]], ways: Mapping[str, Mapping[str, Any]], beside: Mapping[str, Counter[str]]
) -> dict[str, list[list[Stretch]]]:
    """The places that are kept. Those with the longest words first: the 3 of `3 March` is no quantity. Then those without a choice."""
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
    """How often the words beside a place stand beside places where there is no doubt."""
    return sum(beside[key] for key in _beside(text, place))


def _beside(text: str, place: Stretch) -> list[str]:
    """The words beside a place, each with its distance."""
    before = [match.group().casefold() for match in _WORD.finditer(text, max(0, place[0] - _NEAR), place[0])][-_BESIDE:][::-1]
    after = [match.group().casefold() for match in _WORD.finditer(text, place[1], place[1] + _NEAR)][:_BESIDE]
    return [f"{-1 - far} {word}" for far, word in enumerate(before)] + [f"{1 + far} {word}" for far, word in enumerate(after)]


def _number(value: Any, values: Sequence[Any]) -> int:
    """The place of a value among some; -1 where it is none of them. 1.0 is 1, and True is not."""
    same = (place for place, known in enumerate(values) if known == value and isinstance(known, bool) == isinstance(value, bool))
    return next(same, -1)
