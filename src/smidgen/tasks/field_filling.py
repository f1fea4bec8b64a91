"""Objects out of what a tagger finds: spans of a text become values, each by its field's own way, choices are taken, and the whole is held
to the schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smidgen.core.parts import Form, Raw
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.stats import filled, platt
from smidgen.stats.spans import decided
from smidgen.tasks import field_chances, field_ways
from smidgen.tasks.field_plan import fitting
from smidgen.tasks.field_schema import Schema, kind_of
from smidgen.tasks.field_values import Values
from smidgen.tasks.field_ways import Fits

_GRID = np.linspace(0.2, 0.8, 13)
_PLATEAU = 0.003
"""Thresholds whose F1 lies so near to the best are as good as it."""
_SURE = 1 - 1e-9


@dataclass(frozen=True)
class Found:
    """A value that a text may say, how likely it does, and where: the likeliest place."""

    value: Any
    chance: float
    place: tuple[int, int]


@dataclass(frozen=True)
class Reading:
    """What was found in one text: by the fields' paths what may be their values, and the chosen values with their chances; of choices
    the chances of the others, too."""

    found: Mapping[str, Sequence[Found]]
    chosen: Mapping[str, tuple[Any, float]]
    weighed: Mapping[str, Mapping[str, float]]

    def shares(self) -> field_chances.Shares:
        """How likely the values of each field are. Of a value in several places, as likely as the likeliest."""
        found = {path: {field_chances.label(one.value): one.chance for one in reversed(own)} for path, own in self.found.items()}
        return {**found, **self.weighed}


class Filler:
    """Fills in one schema by one plan; see `field_plan`."""

    def __init__(self, values: Values, plan: Mapping[str, Any], fits: Mapping[str, Fits] | None = None) -> None:
        self._values, self._plan = values, plan
        self._form = {"schema": values.schema, "tagged": plan}
        self._fits = fitting(values.schema) if fits is None else fits
        self._most: dict[str, int] = {path: node["maxItems"] for path, node in filled.paths(values.schema) if "maxItems" in node}

    def decode(self, raw: Raw, form: Form) -> list[Reply]:
        """One reply a text: an object that fits the schema, or None with the score 0 and the fact `refused`.

        The score is the chance that all of it is right, each field taken by itself. Facts: `scores`, the model's own probability of each
        value that is given, by its path, not fitted to how often it is right; and `spans`, where the text says it. The `chances` are
        those of `field_chances`, which are fitted.
        """
        readings = self._read(raw)
        made = [self._filled(reading, self._plan["threshold"]) for reading in readings]
        scores = platt.curve(platt.logit([chance for _, chance, _ in made]), 1 / form["temperature"], form["shift"])
        likely = field_chances.chances([reading.shares() for reading in readings], self._form)
        replies = [self._reply(given, float(score), facts) for (given, _, facts), score in zip(made, scores, strict=True)]
        # An object that is refused gives nothing, not one of its fields either.
        return [reply if reply.output is None else replace(reply, chances=own) for reply, own in zip(replies, likely, strict=True)]

    def temperatures(self, raw: Raw, rows: Sequence[Row]) -> dict[str, float]:
        """See `field_chances`."""
        return field_chances.temperatures([reading.shares() for reading in self._read(raw)], [row.output for row in rows], self._form)

    def threshold(self, raw: Raw, rows: Sequence[Row]) -> float:
        """The middle of the thresholds in 0.2..0.8 that give the best F1 over fields, or nearly."""
        readings, gold = self._read(raw), [filled.pairs(row.output) for row in rows]
        scores = []
        for threshold in _GRID:
            # As they are served: what does not fit the schema is refused.
            got = [filled.pairs(self._reply(*self._filled(reading, float(threshold))).output) for reading in readings]
            both = sum(a.total() + b.total() for a, b in zip(gold, got, strict=True))
            scores.append(2 * sum(filled.shared(a, b) for a, b in zip(gold, got, strict=True)) / both if both else 0.0)
        if not scores or max(scores) == 0:
            return 0.5
        near = _GRID[np.array(scores) >= max(scores) - _PLATEAU]
        return float(near[np.abs(near - np.median(near)).argmin()])

    def _read(self, raw: Raw) -> list[Reading]:
        choices = raw.get("choices") or [[] for _ in raw["spans"]]
        return [
            Reading(self._found(spans, text), self._chosen(own), self._weighed(own))
            for spans, text, own in zip(raw["spans"], raw["inputs"], choices, strict=True)
        ]

    def _found(self, spans: Sequence[Sequence[float]], text: str) -> dict[str, list[Found]]:
        """The values that spans are for, likeliest first; of two that overlap only one can be, and the likelier stays. A value in several
        places is as likely as in the likeliest of them: what a model makes of one tells what it makes of the others. In a list that may
        have it twice each place is a value of its own."""
        made: dict[str, dict[Any, Found]] = {path: {} for path in self._plan["kinds"]}
        apart, _ = decided(spans, 0.0)
        for start, end, number, chance in apart:
            path, way = self._plan["kinds"][int(number)], self._plan["ways"][int(number)]
            place = int(start), int(end)
            value = field_ways.value_of(text[place[0] : place[1]], way, self._fits[path])
            if value is not None:
                made[path].setdefault((value,) if way["distinct"] else (value, place), Found(value, chance, place))
        return {path: list(own.values()) for path, own in made.items()}

    def _chosen(self, chances: Sequence[Sequence[float]]) -> dict[str, tuple[Any, float]]:
        """The likeliest value of each choice."""
        made = {}
        for choice, own in zip(self._plan["choices"], chances, strict=True):
            best = int(np.argmax(own))
            made[choice["path"]] = choice["values"][best], float(own[best])
        return made

    def _weighed(self, chances: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
        """The chance of every value of each choice."""
        return {
            choice["path"]: {
                field_chances.label(value): float(chance) for value, chance in zip(choice["values"], own, strict=True) if value is not None
            }
            for choice, own in zip(self._plan["choices"], chances, strict=True)
        }

    def _filled(self, reading: Reading, threshold: float) -> tuple[dict[str, Any], float, dict[str, Any]]:
        """The values of an object, nested as the schema is; the chance that all are right; and facts."""
        given: dict[str, Any] = {path: value for path, (value, _) in reading.chosen.items() if value is not None}
        scores = {path: round(chance, 6) for path, (value, chance) in reading.chosen.items() if value is not None}
        spans: dict[str, list[list[int]]] = {}
        whole = sum(math.log(max(chance, 1e-9)) for _, chance in reading.chosen.values())
        for path, way in zip(self._plan["kinds"], self._plan["ways"], strict=True):
            sure = [one for one in reading.found[path] if one.chance >= threshold]
            first = sure[: self._most.get(path)] if way["list"] else sure[:1]
            kept = sorted(first, key=lambda one: one.place)
            # What is not given counts as a decision, too; but of a single value the others are decided with it.
            rest = reading.found[path][len(kept) :] if way["list"] or not kept else []
            whole += sum(math.log(max(one.chance, 1e-9)) for one in kept) + sum(math.log1p(-min(one.chance, _SURE)) for one in rest)
            if kept:
                given[path] = [one.value for one in kept] if way["list"] else kept[0].value
                scores[path] = round(min(one.chance for one in kept), 6)
                spans[path] = [list(one.place) for one in kept]
        return _nested(given, self._values.schema, ""), math.exp(whole), {"scores": scores, "spans": spans}

    def _reply(self, given: dict[str, Any], score: float, facts: dict[str, Any]) -> Reply:
        try:
            settled = self._values.settled(given)
            fault = self._values.fault(settled)
        except ValueError as error:
            settled, fault = {}, str(error)
        if fault:
            return Reply(None, 0.0, facts={"refused": f"what was found does not fill in the schema ({fault})"})
        return Reply(settled, score, facts={name: own for name, own in facts.items() if own})


def _nested(given: Mapping[str, Any], schema: Schema, before: str) -> dict[str, Any]:
    """Values by their paths as an object. An object of which nothing was found is left out where it may be."""
    made: dict[str, Any] = {}
    for name, node in schema["properties"].items():
        path = f"{before}{name}"
        if "properties" in node:
            inner = _nested(given, node, f"{path}.")
            if inner or (name in schema["required"] and not kind_of(node)[1]):
                made[name] = inner
        elif path in given:
            made[name] = given[path]
        elif "items" in node and name in schema["required"] and not kind_of(node)[1]:
            made[name] = []
    return made
