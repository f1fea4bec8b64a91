"""Metrics of calls."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.stats.action_metrics import call_overlap, equal_calls, measure_calls


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "arguments": arguments}


def test_calls_are_equal_by_tool_and_arguments() -> None:
    assert equal_calls(call("a", x=1, y="b "), call("a", y="b", x=1.0)) and equal_calls(None, None)
    assert equal_calls(call("a"), call("a")) and equal_calls(call("a", x=["p", "q"]), call("a", x=["q", "p"]))
    assert not equal_calls(call("a"), call("b")) and not equal_calls(call("a", x=1), call("a", x=True))
    assert not equal_calls(call("a"), None) and not equal_calls(call("a", x=1), call("a"))


def test_each_metric_counts_what_it_says() -> None:
    gold = [call("a", x=1), call("a", x=2, y=3), call("b"), None, None]
    got = [call("a", x=1), call("a", x=2, y=4), call("a", x=5), None, call("b")]
    found = measure_calls(gold, got)
    assert {name: metric.value for name, metric in found.items()} == {
        "exact_match": pytest.approx(2 / 5),
        "tool_accuracy": pytest.approx(3 / 5),
        "argument_f1": pytest.approx(2 * 2 / (3 + 4)),
        "abstain_recall": pytest.approx(1 / 2),
    }
    assert all(metric.low <= metric.value <= metric.high for metric in found.values()) and len(found) == 4
    assert "abstain_recall" not in measure_calls(gold[:3], got[:3]), "no row wants no call"
    with pytest.raises(ValueError, match="5 gold calls and 1 answers"):
        measure_calls(gold, got[:1])


def test_arguments_of_a_wrong_tool_are_wrong() -> None:
    assert measure_calls([call("a", x=1)], [call("b", x=1)])["argument_f1"].value == 0


def test_the_overlap_counts_the_tool_too() -> None:
    assert call_overlap(None, None) == 1 and call_overlap(call("a"), None) == 0 and call_overlap(call("a"), call("a")) == 1
    assert call_overlap(call("a", x=1), call("a", x=2)) == pytest.approx(0.5) and call_overlap(call("a", x=1), call("b", x=1)) == 0
