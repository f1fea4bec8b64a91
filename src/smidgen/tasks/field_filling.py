"""Turn the output of a tagger into an object: spans become values, choices are taken, and the result is checked against the schema.

This module also computes the probability of each value for fields with a fixed set of values. A decoder has none: it knows the
probability of its whole answer, not of a single field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smidgen.core.forms import FieldForm
from smidgen.core.parts import Raw
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.stats import calibration, field_values
from smidgen.stats.calibration import fit_temperature, softmax
from smidgen.stats.extraction_metrics import decide_spans
from smidgen.stats.intervals import Floats
from smidgen.tasks import field_parsing
from smidgen.tasks.field_parsing import Fits
from smidgen.tasks.field_schema import Schema, kind_of
from smidgen.tasks.field_tagging import fitting
from smidgen.tasks.field_values import FieldValues

# Probabilities of each value of a field that has a fixed set of values.

_LEAST = 1e-9
"""The lower bound of the probability of a value: no value is impossible."""

Shares = Mapping[str, Mapping[str, float]]
"""The model's own probability for each value's label, by the field's path; the rest up to 1 is the probability of no value."""


def label(value: Any) -> str:
    """The name of a choice's value: a text itself, any other value as JSON, with 2.0 as 2."""
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def known(form: FieldForm) -> dict[str, list[str]]:
    """The labels of the values of each field that has a fixed set of values, by the field's path; empty if a decoder fills in the
    fields."""
    plan = form.tagging
    if plan is None:
        return {}
    told = {*plan.kinds, *(choice["path"] for choice in plan.choices)}
    named = {path: _labels(node) for path, node in field_values.schema_paths(form.json_schema) if path in told and "items" not in node}
    return {path: labels for path, labels in named.items() if labels}


def key(path: str, named: str) -> str:
    """The name of the probability of a field's value in `Reply.chances`."""
    return f"{path}={named}"


def chances(shares: Sequence[Shares], form: FieldForm) -> list[dict[str, float]]:
    """The calibrated probabilities of all values for each text, by `key`."""
    found: list[dict[str, float]] = [{} for _ in shares]
    fitted = (form.tagged or {}).get("temperatures", {})
    for path, labels in known(form).items():
        table = softmax(_logits(shares, path, labels), fitted.get(path, 1.0))
        for own, row in zip(found, table, strict=True):
            own.update({key(path, named): float(chance) for named, chance in zip(labels, row[:-1], strict=True)})
    return found


def temperatures(shares: Sequence[Shares], outputs: Sequence[field_values.Filled], form: FieldForm) -> dict[str, float]:
    """The temperature that calibrates the probabilities of each field, fitted on held-out texts and their objects."""
    gold = [field_values.values_by_path(output) for output in outputs]
    found = {}
    for path, labels in known(form).items():
        wanted = [label(row[path][0]) if path in row else None for row in gold]
        sure = [place for place, named in enumerate(wanted) if named is None or named in labels]
        targets = [len(labels) if (named := wanted[place]) is None else labels.index(named) for place in sure]
        found[path] = round(fit_temperature(_logits([shares[place] for place in sure], path, labels), targets), 6)
    return found


def _labels(node: Schema) -> list[str]:
    values = node.get("enum", (True, False) if kind_of(node)[0] == "boolean" else ())
    return [label(value) for value in values if value is not None]


def _logits(shares: Sequence[Shares], path: str, labels: Sequence[str]) -> Floats:
    """(texts, labels + 1) logarithms of the model's own probabilities; the last column is no value."""
    table: Floats = np.array([[own[path].get(named, 0.0) for named in labels] for own in shares]).reshape(len(shares), len(labels))
    # Two positions with different values may both be likely: then only one of them is meant.
    table = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    nothing = 1.0 - table.sum(axis=1, keepdims=True)
    logits: Floats = np.log(np.maximum(np.concatenate([table, nothing], axis=1), _LEAST))
    return logits


_GRID = np.linspace(0.2, 0.8, 13)
_PLATEAU = 0.003
"""Thresholds whose F1 is within this of the best count as equally good."""
_SURE = 1 - 1e-9


@dataclass(frozen=True)
class FoundValue:
    """A value that a text may state, its probability, and its most likely position."""

    value: Any
    chance: float
    place: tuple[int, int]


@dataclass(frozen=True)
class FieldsFound:
    """Candidates and values of the fields of one text, by the fields' paths: the chosen values with their probabilities, and for choices
    also the probabilities of the other values."""

    found: Mapping[str, Sequence[FoundValue]]
    chosen: Mapping[str, tuple[Any, float]]
    weighed: Mapping[str, Mapping[str, float]]

    def shares(self) -> Shares:
        """The probability of each value of each field; for a value at several positions the highest."""
        found = {path: {label(one.value): one.chance for one in reversed(own)} for path, own in self.found.items()}
        return {**found, **self.weighed}


class FieldFiller:
    """Fill in the schema of a form by its plan; see `field_tagging`."""

    def __init__(self, values: FieldValues, form: FieldForm, fits: Mapping[str, Fits] | None = None) -> None:
        assert form.tagged is not None
        self._values, self._form, self._plan = values, form, form.tagged
        self._fits = fitting(values.schema) if fits is None else fits
        self._most: dict[str, int] = {
            path: node["maxItems"] for path, node in field_values.schema_paths(values.schema) if "maxItems" in node
        }

    def decode(self, raw: Raw) -> list[Reply]:
        """One reply per text: an object that fits the schema, or None with the score 0 and the fact `refused`.

        The score is the probability that all of it is right, with the fields taken as independent. Facts: `scores`, the model's own
        uncalibrated probability of each given value, by its path; `spans`, the positions where the text states it. `chances` are
        calibrated.
        """
        readings = self.read(raw)
        made = [self._filled(reading, self._plan["threshold"]) for reading in readings]
        scores = calibration.platt_probability(
            calibration.logit([chance for _, chance, _ in made]), 1 / self._form.temperature, self._form.shift
        )
        likely = chances([reading.shares() for reading in readings], self._form)
        replies = [self._reply(given, float(score), facts) for (given, _, facts), score in zip(made, scores, strict=True)]
        # A refused object gives no value of any field.
        return [reply if reply.output is None else replace(reply, chances=own) for reply, own in zip(replies, likely, strict=True)]

    def temperatures(self, raw: Raw, rows: Sequence[Row]) -> dict[str, float]:
        """See `temperatures`."""
        return temperatures([reading.shares() for reading in self.read(raw)], [row.output for row in rows], self._form)

    def threshold(self, raw: Raw, rows: Sequence[Row]) -> float:
        """The middle of the thresholds in 0.2..0.8 that give the best F1 over fields, or nearly."""
        readings, gold = self.read(raw), [field_values.field_pairs(row.output) for row in rows]
        scores = []
        for threshold in _GRID:
            # As in serving: an object that does not fit the schema is refused.
            got = [field_values.field_pairs(self._reply(*self._filled(reading, float(threshold))).output) for reading in readings]
            both = sum(a.total() + b.total() for a, b in zip(gold, got, strict=True))
            scores.append(2 * sum(field_values.count_shared(a, b) for a, b in zip(gold, got, strict=True)) / both if both else 0.0)
        if not scores or max(scores) == 0:
            return 0.5
        near = _GRID[np.array(scores) >= max(scores) - _PLATEAU]
        return float(near[np.abs(near - np.median(near)).argmin()])

    def read(self, raw: Raw) -> list[FieldsFound]:
        """The candidates and choices of each text, before any decision."""
        choices = raw.get("choices") or [[] for _ in raw["spans"]]
        return [
            FieldsFound(self._found(spans, text), self._chosen(own), self._weighed(own))
            for spans, text, own in zip(raw["spans"], raw["inputs"], choices, strict=True)
        ]

    def _found(self, spans: Sequence[Sequence[float]], text: str) -> dict[str, list[FoundValue]]:
        """The values of spans, most likely first. Of two overlapping spans the likelier is used. A value at several positions gets the
        probability of the likeliest: they depend on one another. In a list that may repeat a value, each position is a value of its own."""
        made: dict[str, dict[Any, FoundValue]] = {path: {} for path in self._plan["kinds"]}
        apart, _ = decide_spans(spans, 0.0)
        for start, end, number, chance in apart:
            path, way = self._plan["kinds"][int(number)], self._plan["ways"][int(number)]
            place = int(start), int(end)
            value = field_parsing.value_of(text[place[0] : place[1]], way, self._fits[path])
            if value is not None:
                made[path].setdefault((value,) if way["distinct"] else (value, place), FoundValue(value, chance, place))
        return {path: list(own.values()) for path, own in made.items()}

    def _chosen(self, chances: Sequence[Sequence[float]]) -> dict[str, tuple[Any, float]]:
        """The most likely value of each choice."""
        made = {}
        for choice, own in zip(self._plan["choices"], chances, strict=True):
            best = int(np.argmax(own))
            made[choice["path"]] = choice["values"][best], float(own[best])
        return made

    def _weighed(self, chances: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
        """The probability of every value of each choice."""
        return {
            choice["path"]: {label(value): float(chance) for value, chance in zip(choice["values"], own, strict=True) if value is not None}
            for choice, own in zip(self._plan["choices"], chances, strict=True)
        }

    def _filled(self, reading: FieldsFound, threshold: float) -> tuple[dict[str, Any], float, dict[str, Any]]:
        """The values of an object, nested like the schema; the probability that all are right; and facts."""
        given: dict[str, Any] = {path: value for path, (value, _) in reading.chosen.items() if value is not None}
        scores = {path: round(chance, 6) for path, (value, chance) in reading.chosen.items() if value is not None}
        spans: dict[str, list[list[int]]] = {}
        whole = sum(math.log(max(chance, 1e-9)) for _, chance in reading.chosen.values())
        for path, way in zip(self._plan["kinds"], self._plan["ways"], strict=True):
            sure = [one for one in reading.found[path] if one.chance >= threshold]
            first = sure[: self._most.get(path)] if way["list"] else sure[:1]
            kept = sorted(first, key=lambda one: one.place)
            # A value that is not given is a decision, too; but for a single-valued field the given value decides against the others.
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
    """An object from values by path. An object without any value is left out if the schema allows that."""
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
