"""The drift test: whether traffic has moved away from its earlier state, and in which respect.

An alarm takes two conditions. *Evidence*: the test's p-value, corrected by Holm for all tests of a look, is at most the part of the level
that this look may spend. All looks share one level, so the chance of any false alarm is at most that level however often one looks. And
*size*: at least the share `least` of the texts must have come from elsewhere, beyond chance. In 50,000 requests even a tiny shift is
certain; it is reported, but raises no alarm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from smidgen.stats.drift_statistics import PermutationResult, TextPresence, holm, permutation_test
from smidgen.stats.risk_bounds import slow_level_of_look
from smidgen.watch.comparison import TrafficSample, views

LEVEL = 0.05
LEAST = 0.05
FEWEST = 50
"""Least distinct texts in each period: with fewer a look shows nothing, and none is spent."""
_FEWEST_DRAWN, _MOST_DRAWN = 999, 1_000_000


@dataclass(frozen=True)
class ViewResult:
    """The result of one test.

    Attributes:
        what: `meaning`, `subjects`, `labels`, `scores`, `length`, `language` or `words`.
        p: by permutation.
        adjusted: `p` by Holm for all tests of the look.
        size: the share of the texts that must have come from elsewhere, beyond chance, 0..1.
        sure: whether there is evidence.
        alarm: whether there is evidence and the size is large enough.
        says: the observed change, in words.
        examples: recent texts that show it, as they are stored.
        numbers: the figures in `says`, JSON-ready.
    """

    what: str
    p: float
    adjusted: float
    size: float
    sure: bool
    alarm: bool
    says: str
    examples: tuple[str, ...]
    numbers: dict[str, object]


@dataclass(frozen=True)
class DriftVerdict:
    """The verdict of one look: `spent` is the part of `level` that it was tested at, `least` the smallest size of an alarm."""

    tests: tuple[ViewResult, ...]
    untested: Mapping[str, str]
    look: int
    level: float
    spent: float
    least: float

    @property
    def alarm(self) -> bool:
        """Whether any test raises an alarm."""
        return any(test.alarm for test in self.tests)

    @property
    def blind(self) -> bool:
        """Whether no alarm is possible any more: earlier looks spent so much that even all permutations would not be enough."""
        return most_drawn(len(self.tests), self.spent) + 1 < len(self.tests) / self.spent

    def json(self, examples: bool = True) -> dict[str, Any]:
        """The verdict, JSON-ready. Without `examples` it contains nothing of any text, not even words."""
        tests = [asdict(test) for test in self.tests]
        for test in tests:
            test["examples"] = list(test["examples"])
            if not examples:
                del test["examples"]
                if test["what"] == "words":
                    del test["numbers"], test["says"]
        return {
            "alarm": self.alarm,
            "blind": self.blind,
            "moved": [test.what for test in self.tests if test.alarm],
            "look": self.look,
            "level": self.level,
            "spent": self.spent,
            "least": self.least,
            "tests": tests,
            "untested": dict(self.untested),
        }


def enough(where: TextPresence) -> bool:
    """Whether each period has enough distinct texts for a look."""
    return min(where.earlier_texts, where.later_texts) >= FEWEST


def judged(sample: TrafficSample, look: int, level: float = LEVEL, least: float = LEAST, seed: int = 0) -> DriftVerdict:
    """Look at a sample, as the `look`-th look at this model's traffic. The seed decides which permutations are drawn."""
    every = views(sample, seed)
    spent = slow_level_of_look(level, look)
    most = most_drawn(len(every), spent)
    found: dict[str, PermutationResult] = {}
    for where in {id(view.where): view.where for view in every}.values():
        found |= permutation_test(where, {view.name: view.shift for view in every if view.where is where}, most, seed)
    adjusted = holm({name: one.p for name, one in found.items()})
    tests = []
    for view in every:
        one = found[view.name]
        told = view.tell()
        sure = adjusted[view.name] <= spent
        tests.append(
            ViewResult(
                view.name,
                one.p,
                adjusted[view.name],
                one.size,
                sure,
                sure and one.size >= least,
                told.says,
                told.examples,
                told.numbers,
            )
        )
    return DriftVerdict(tuple(tests), dict(sample.untested), look, level, spent, least)


def most_drawn(tests: int, spent: float) -> int:
    """Most permutations that can be needed: half as many again as the smallest p-value takes."""
    return max(_FEWEST_DRAWN, min(_MOST_DRAWN, math.ceil(1.5 * max(1, tests) / spent)))
