"""Suspect lines: Ochiai's coefficient by hand, and the order with a model's sign."""

from __future__ import annotations

import math

from smidgen.code.fault_lines import SuspectLine, is_code, ochiai, ranked, surprise
from smidgen.code.pytest_runs import RanTest


def _test(outcome: str, *lines: int) -> RanTest:
    return RanTest("t", outcome, "", frozenset(lines))


def test_ochiai_as_by_hand() -> None:
    tests = [_test("failed", 1, 2, 3), _test("time", 1, 3), _test("passed", 1, 2), _test("passed", 1, 4), _test("skipped", 3)]
    found = ochiai(tests)
    assert found == {1: 2 / math.sqrt(2 * 4), 2: 1 / math.sqrt(2 * 2), 3: 1.0}
    assert ochiai([_test("passed", 1)]) == {}


def test_equal_lines_are_told_apart_by_the_model() -> None:
    found = ranked({3: 1.0, 1: 1.0, 2: 0.5}, {3: 0.75, 2: 0.25})
    assert found == [SuspectLine(3, 1.0, 0.75), SuspectLine(1, 1.0), SuspectLine(2, 0.5, 0.25)]
    assert (surprise(1.0), surprise(0.01), surprise(0.0)) == (0.0, 0.5, 1.0)


def test_lines_without_code_are_none() -> None:
    lines = ["x = 1", "", "  # no", "else:", ")", "def f(a):", "    return a"]
    assert [line for line in range(0, 9) if is_code(lines, line)] == [1, 7]
