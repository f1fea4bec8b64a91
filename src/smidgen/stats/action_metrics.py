"""Metrics of calls: whether the right tool is called, or none, with the right arguments.

A call is `{"tool", "arguments"}`; None is no call. A call that lacks an argument is right if the gold call lacks it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from smidgen.core.quantities import Metric
from smidgen.stats.classification_metrics import share
from smidgen.stats.extraction_metrics import measure_counts
from smidgen.stats.field_values import Pairs, count_shared, equal_fields, field_pairs

Call: TypeAlias = Mapping[str, Any] | None
"""A call with `tool` and `arguments`, or None."""


def tool_of(call: Call) -> str | None:
    """Return the called tool; None for no call."""
    return None if call is None else str(call["tool"])


def equal_calls(one: Call, other: Call) -> bool:
    """Return True if both call the same tool with the same arguments, or both call none."""
    return tool_of(one) == tool_of(other) and equal_fields(_arguments(one), _arguments(other))


def argument_pairs(call: Call) -> Pairs:
    """Return the pairs of an argument and its value. Arguments of different tools differ, whatever they are called."""
    return field_pairs({} if call is None else {call["tool"]: _arguments(call)})


def call_overlap(one: Call, other: Call) -> float:
    """Return how much of two calls is equal: F1 over the tool and the arguments; 1 for no call twice."""
    a, b = argument_pairs(one), argument_pairs(other)
    tools = [tool for tool in (tool_of(one), tool_of(other)) if tool is not None]
    both = a.total() + b.total() + len(tools)
    same = count_shared(a, b) + (len(tools) == 2 and tools[0] == tools[1])
    return 2 * same / both if both else 1.0


def measure_calls(gold: Sequence[Call], got: Sequence[Call]) -> dict[str, Metric]:
    """Return exact_match, tool_accuracy and argument_f1, and abstain_recall if some rows want no call.

    tool_accuracy counts no call as a tool. argument_f1 is over all arguments of all rows: those of a wrong tool are wrong. abstain_recall
    is the share of the rows without a call that got none.
    """
    if len(gold) != len(got):
        raise ValueError(f"{len(gold)} gold calls and {len(got)} answers")
    both = [(argument_pairs(a), argument_pairs(b)) for a, b in zip(gold, got, strict=True)]
    exact = [equal_calls(a, b) for a, b in zip(gold, got, strict=True)]
    counted = measure_counts([(count_shared(a, b), a.total(), b.total()) for a, b in both], exact)
    tools = np.array([tool_of(a) == tool_of(b) for a, b in zip(gold, got, strict=True)], dtype=np.bool_)
    found = {"exact_match": counted["exact_match"], "tool_accuracy": share(tools), "argument_f1": counted["f1"]}
    abstained = np.array([b is None for a, b in zip(gold, got, strict=True) if a is None], dtype=np.bool_)
    return found | ({"abstain_recall": share(abstained)} if len(abstained) else {})


def _arguments(call: Call) -> Mapping[str, Any]:
    found: Mapping[str, Any] = {} if call is None else call.get("arguments") or {}
    return found
