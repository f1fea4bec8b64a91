"""Gaps in source files, for learning to fill them and for measuring it: the rest of a line, or some lines of a block."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smidgen.code.repository import CodeFile

_WORTH = re.compile(r"\w.*\w.*\w|\w.*[^\w\s].*\w")
"""A line worth filling in: more than a bracket or a single word."""
_REMARK = re.compile(r"\s*(?:#|//|/?\*|\"\"\"|'''|--|<!--)")
_QUOTES = re.compile(r"\"\"\"|'''")
_WITHIN = re.compile(r"(?<=[(\[{=.,:])\s?|(?<=\w) ")
"""Places in a line where somebody pauses: after an opening bracket, a dot, an equals sign, a comma, a word."""
_LEAST = 3
"""Characters of the shortest gap."""
_LONGEST_LINE = 200
_MOST_LINES = 6
"""Lines of the longest gap."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap in a file: the text ahead of it, the text that fills it, and the text behind it. Joined they are the file."""

    path: str
    ahead: str
    filling: str
    behind: str


def gaps_in(file: CodeFile, count: int, random: np.random.Generator, *, blocks: float = 0.0, within: float = 0.3) -> list[Gap]:
    """At most `count` gaps at different lines of a file, spread evenly, in their order. Every gap begins where a person would stop typing.

    Args:
        file: the file.
        count: the number of gaps.
        random: of the places.
        blocks: the share of gaps of several lines: a whole block or its beginning.
        within: the share of the others that begin inside a line; these begin after its indentation.
    """
    lines = file.text.split("\n")
    starts = np.concatenate([[0], np.cumsum([len(line) + 1 for line in lines])])
    prose = _prose(lines)
    able = [number for number, line in enumerate(lines) if number not in prose and _is_worth(line)]
    if not able:
        return []
    places = np.linspace(0, len(able), min(count, len(able)), endpoint=False) + random.random() * len(able) / max(1, min(count, len(able)))
    found = []
    for place in places:
        number = able[min(int(place), len(able) - 1)]
        line, last = lines[number], number
        begin = len(line) - len(line.lstrip())
        if random.random() < blocks:
            last = _block_end(lines, number, int(random.integers(2, _MOST_LINES + 1)))
        elif random.random() < within:
            begin = _inside(line, begin, random)
        start, end = int(starts[number]) + begin, int(starts[last]) + len(lines[last].rstrip())
        found.append(Gap(file.path, file.text[:start], file.text[start:end], file.text[end:]))
    return found


def _prose(lines: Sequence[str]) -> set[int]:
    """The numbers of lines in texts of several lines between three quotes, such as Python's docstrings."""
    found, mark = set(), ""
    for number, line in enumerate(lines):
        was, at = mark, 0
        while (quotes := _QUOTES.search(line, at)) is not None:
            at = quotes.end()
            mark = "" if mark == quotes[0] else mark or quotes[0]
        if was:
            found.add(number)
    return found


def _is_worth(line: str) -> bool:
    return len(line) <= _LONGEST_LINE and len(line.strip()) >= _LEAST and not _REMARK.match(line) and _WORTH.search(line) is not None


def _inside(line: str, begin: int, random: np.random.Generator) -> int:
    """A place inside a line where somebody pauses, with enough behind it; the line's beginning if there is none."""
    able = [found.end() for found in _WITHIN.finditer(line, begin + 1) if len(line.rstrip()) - found.end() >= _LEAST]
    return int(random.choice(able)) if able else begin


def _block_end(lines: Sequence[str], first: int, most: int) -> int:
    """The last line of a gap of up to `most` lines that stays in its block: no line of it is indented less than the first, and no two lines
    that follow each other are blank."""
    indent = len(lines[first]) - len(lines[first].lstrip())
    last = first
    for number in range(first + 1, min(len(lines), first + most)):
        if not lines[number].strip():
            if number - last > 1:
                break
        elif len(lines[number]) - len(lines[number].lstrip()) < indent:
            break
        else:
            last = number
    return last
