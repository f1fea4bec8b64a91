"""How likely each value of a field is, of the fields that have a fixed set of values and a tagger's own chances of them.

A decoder has none of these: it knows how likely all that it wrote is, and not how likely one of the fields is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smidgen.core.parts import Form
from smidgen.stats import filled
from smidgen.stats.calibration import fit_temperature, softmax
from smidgen.stats.intervals import Floats
from smidgen.tasks.field_schema import Schema, kind_of

_LEAST = 1e-9
"""The least chance that a value is given: nothing that is a value is impossible."""

Shares = Mapping[str, Mapping[str, float]]
"""By a field's path, by a value's label, the model's own chance of it; what they leave of 1 is the chance of no value."""


def label(value: Any) -> str:
    """A value of a choice as it is named: a text is itself, another value is as JSON has it, and 2.0 is 2."""
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def known(form: Form) -> dict[str, list[str]]:
    """The labels of the values of each field that has a fixed set of them, by the field's path; none where a decoder fills them in."""
    plan = form.get("tagged", {})
    if "kinds" not in plan:
        return {}
    told = {*plan["kinds"], *(choice["path"] for choice in plan["choices"])}
    named = {path: _labels(node) for path, node in filled.paths(form["schema"]) if path in told and "items" not in node}
    return {path: labels for path, labels in named.items() if labels}


def key(path: str, named: str) -> str:
    """The name under which `Reply.chances` has the chance of a field's value."""
    return f"{path}={named}"


def chances(shares: Sequence[Shares], form: Form) -> list[dict[str, float]]:
    """For each text the chances of all values by their `key`, fitted as the form says."""
    found: list[dict[str, float]] = [{} for _ in shares]
    for path, labels in known(form).items():
        table = softmax(_logits(shares, path, labels), form["tagged"].get("temperatures", {}).get(path, 1.0))
        for own, row in zip(found, table, strict=True):
            own.update({key(path, named): float(chance) for named, chance in zip(labels, row[:-1], strict=True)})
    return found


def temperatures(shares: Sequence[Shares], outputs: Sequence[filled.Filled], form: Form) -> dict[str, float]:
    """For each field the temperature that makes its chances mean what they say, from texts that nothing was learnt from and their
    objects."""
    gold = [filled.by_path(output) for output in outputs]
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
    """(texts, labels + 1) logarithms of the model's own chances, that of no value last."""
    table: Floats = np.array([[own[path].get(named, 0.0) for named in labels] for own in shares]).reshape(len(shares), len(labels))
    # Two places that say different values may both be likely: then one of them is meant.
    table = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    nothing = 1.0 - table.sum(axis=1, keepdims=True)
    logits: Floats = np.log(np.maximum(np.concatenate([table, nothing], axis=1), _LEAST))
    return logits
