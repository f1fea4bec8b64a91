"""Lines of a file by how likely a fault is in them: from the tests that run them, and from how little a model expects them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smidgen.code.pytest_runs import PASSED, RanTest


@dataclass(frozen=True, slots=True)
class SuspectLine:
    """A line. `by_tests`: its Ochiai coefficient, 0..1. `by_model`: how little a model expects it, 0..1; 0 if it was not asked."""

    line: int
    by_tests: float
    by_model: float = 0.0


def ochiai(tests: Iterable[RanTest]) -> dict[int, float]:
    """The Ochiai coefficient of each line that a failing test runs, 0..1.

    Failing tests that run the line, over the root of all failing tests times all tests that run it (Abreu, Zoeteweij and van Gemund 2007).
    """
    failing = [test.lines for test in tests if test.outcome not in (PASSED, "skipped")]
    passing = [test.lines for test in tests if test.outcome == PASSED]
    lines = frozenset[int]().union(*failing)
    found = {}
    for line in sorted(lines):
        bad, good = sum(line in one for one in failing), sum(line in one for one in passing)
        found[line] = bad / math.sqrt(len(failing) * (bad + good))
    return found


def surprise(probability: float) -> float:
    """How little a line is expected, 0..1, from the geometric mean of the probabilities of its tokens: 0 for 1, 1 from 1 in 10,000 on."""
    return min(1.0, -math.log10(max(probability, 1e-4)) / 4)


def ranked(by_tests: Mapping[int, float], by_model: Mapping[int, float]) -> list[SuspectLine]:
    """The lines, the likeliest first: by the sum of both signs; equal ones in their order."""
    lines = [SuspectLine(line, value, by_model.get(line, 0.0)) for line, value in by_tests.items()]
    return sorted(lines, key=lambda one: (-(one.by_tests + one.by_model), one.line))


def is_code(lines: Sequence[str], line: int) -> bool:
    """Whether a line is worth a look: not blank, no remark, more than a bracket or `else:`."""
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return len(text) > 2 and not text.startswith(("#", '"""', "'''", "def ", "async def ", "class ", "@", "else:", "try:"))
