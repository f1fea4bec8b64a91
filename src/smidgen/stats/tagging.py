"""What a tagger reads of a text: its units (words, mostly), their shapes, the pieces of a tokenizer that each is made of, and windows.

Students and engines share it, so that a text is read the same in training and in use.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.stats.chains import UnitSpan

LEVELS = {
    "words": re.compile(r"[^\W_]+|[^\w\s]|_"),
    "runs": re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_"),
    "characters": re.compile(r"\S"),
}
"""What a unit is, coarsest first: a run of letters and digits, or any other sign; letters and digits apart; every character."""

SHAPES = 8
"""How many shapes a unit may have: see `shape`."""

_TORN = 0.005
"""A level is too coarse where more than this share of the spans begin or end within a unit."""

Span = tuple[int, int, int]
"""First character, one past the last, number of the kind."""


def units(text: str, level: str) -> list[tuple[int, int]]:
    """The first character of each unit of a text, and one past its last."""
    return [match.span() for match in LEVELS[level].finditer(text)]


def level_of(examples: Iterable[tuple[str, Sequence[Span]]]) -> str:
    """The coarsest level whose units hardly any span of the examples cuts through."""
    kept = [(text, spans) for text, spans in examples if spans]
    for level in LEVELS:
        torn = sum(_torn(units(text, level), spans) for text, spans in kept)
        if torn <= _TORN * sum(len(spans) for _, spans in kept):
            return level
    return next(reversed(LEVELS))


def _torn(found: Sequence[tuple[int, int]], spans: Sequence[Span]) -> int:
    starts, ends = {start for start, _ in found}, {end for _, end in found}
    return sum(start not in starts or end not in ends for start, end, _ in spans)


def unit_spans(found: Sequence[tuple[int, int]], spans: Iterable[Span]) -> list[UnitSpan]:
    """Spans of characters as spans of units: each takes the units that it touches. One that touches none, or a unit that is taken, is left
    out."""
    placed: list[UnitSpan] = []
    starts, ends = np.array([start for start, _ in found]), np.array([end for _, end in found])
    taken = -1
    for start, end, kind in sorted(spans):
        first, last = int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(starts, end, side="left")) - 1
        if first <= last and first > taken:
            placed.append((first, last, kind))
            taken = last
    return placed


def shape(word: str) -> int:
    """How a word is written, 0 to 7, for models that read without case: 0 small or without letters; 1 Capital first; 2 ALL CAPITALS;
    3 a single capital; 4 mixed. With digits among the letters: 5 small, 6 all capitals, 7 mixed."""
    if word.islower() and word.isalpha():  # most words, for which a look at each letter takes as long as all the rest of the reading
        return 0
    letters = [letter for letter in word if letter.isalpha()]
    if not letters:
        return 0
    large = sum(letter.isupper() for letter in letters)
    digits = any(letter.isdigit() for letter in word)
    if not large:
        return 5 if digits else 0
    if large == len(letters):
        return 6 if digits else 2 if len(letters) > 1 else 3
    if digits:
        return 7
    return 1 if large == 1 and word[0].isupper() else 4


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as a tagger reads it.

    Attributes:
        ids: token numbers of its pieces, without special ones.
        shapes: the shape of the unit that each piece begins in.
        units: (units, 2) first character of each unit that has pieces, and one past its last.
        pieces: (units, 2) first piece of each, and one past its last.
    """

    ids: list[int]
    shapes: list[int]
    units: NDArray[np.int64]
    pieces: NDArray[np.int64]


def read(text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]], level: str) -> Reading:
    """Bring together the units of a text and the pieces of it that a tokenizer gives, `offsets` being their characters. A unit takes all
    pieces that it shares a character with. Units of which the tokenizer keeps nothing are left out."""
    found = units(text, level)
    starts = np.array([start for start, _ in offsets], dtype=np.int64)
    ends = np.array([end for _, end in offsets], dtype=np.int64)
    table = np.array(found, dtype=np.int64).reshape(-1, 2)
    # Offsets never fall, so that the pieces of a unit are one stretch.
    first, past = np.searchsorted(ends, table[:, 0], side="right"), np.searchsorted(starts, table[:, 1], side="left")
    there = first < past
    own = np.searchsorted(table[:, 1], starts, side="right")
    by_unit = [shape(text[start:end]) for start, end in found]
    shapes = [by_unit[place] if place < len(found) and found[place][0] <= start else 0 for place, start in zip(own, starts, strict=True)]
    return Reading(list(ids), shapes, table[there], np.stack([first, past], axis=1)[there].astype(np.int64))


@dataclass(frozen=True, slots=True)
class Window:
    """Pieces `start` to `end` of a text, read at once; of them `own` to `own_end` are answered by this window and no other."""

    start: int
    end: int
    own: int
    own_end: int


def windows(pieces: int, room: int) -> list[Window]:
    """Windows of at most `room` pieces over a text of so many, neighbours sharing half; each piece is answered by the window that sees most
    on both its sides."""
    if pieces <= room:
        return [Window(0, pieces, 0, pieces)]
    count = 1 + -(-(pieces - room) // max(1, room // 2))
    starts = np.linspace(0, pieces - room, count).round().astype(int).tolist()
    cuts = [0, *((before + room + after) // 2 for before, after in itertools.pairwise(starts)), pieces]
    return [Window(start, start + room, cuts[place], cuts[place + 1]) for place, start in enumerate(starts)]


def pooled(scores: NDArray[np.float32], pieces: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each unit's pieces, (units, k), of scores (pieces, k)."""
    sums = np.vstack([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=np.float64)])
    first, past = pieces[:, 0], pieces[:, 1]
    mean: NDArray[np.float64] = (sums[past] - sums[first]) / (past - first)[:, None]
    return mean
