"""Gaps in source files: where they begin and end, and that they join to the file again."""

from __future__ import annotations

import numpy as np

from smidgen.code.gaps import gaps_in
from smidgen.code.repository import CodeFile

TEXT = '''"""Prices of a shop.

These lines are prose and nothing that anybody wants completed, ever.
"""

import math


# A remark that is long enough to be a line worth something.
def net(gross, rate=0.19):
    """The price without tax."""
    if gross < 0:
        raise ValueError("a price is negative")
    result = gross / (1 + rate)
    return round(result, 2)


def total(prices):
    result = 0.0
    for price in prices:
        result += net(price)
    return result
'''


def test_a_gap_and_what_stands_around_it_are_the_file() -> None:
    file, seen = CodeFile("prices.py", TEXT), 0
    for seed in range(20):
        for gap in gaps_in(file, 12, np.random.default_rng(seed), blocks=0.4):
            seen += 1
            assert gap.ahead + gap.filling + gap.behind == TEXT and gap.path == "prices.py"
            assert gap.filling.strip() == gap.filling and len(gap.filling) >= 3
            assert "prose" not in gap.filling and "remark" not in gap.filling
            assert gap.behind.startswith("\n"), "a gap ends with its line"
    assert seen > 150


def test_a_gap_of_several_lines_stays_in_its_block() -> None:
    random, lengths = np.random.default_rng(1), []
    for _ in range(30):
        for gap in gaps_in(CodeFile("prices.py", TEXT), 5, random, blocks=1.0):
            lines = gap.filling.split("\n")
            indent = len(gap.ahead) - len(gap.ahead.rstrip(" "))
            assert all(not line.strip() or len(line) - len(line.lstrip()) >= indent for line in lines[1:])
            lengths.append(len(lines))
    assert len(lengths) > 100 and max(lengths) > 2 and max(lengths) <= 6


def test_gaps_are_of_different_lines_and_no_more_than_there_are() -> None:
    found = gaps_in(CodeFile("prices.py", TEXT), 100, np.random.default_rng(0), within=0.0)
    assert len({len(gap.ahead) for gap in found}) == len(found) == 11
    assert gaps_in(CodeFile("empty.py", "# nothing\n"), 5, np.random.default_rng(0)) == []
