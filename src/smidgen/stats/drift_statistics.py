"""What can be measured of a change between two stretches of texts, as statistics for a permutation test, and how large it is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Which of two stretches of a stream each distinct text stands in, and how that could as well have fallen out: the units of permutation
# tests on traffic that repeats itself.
#
# Requests are no independent draws: a text comes again and again, a client that tries once more sends it a hundred times. Counted by
# request, one such client is a hundred witnesses. Taken once in each stretch, texts of a short stretch are another sample than those of
# a long one: the frequent ones are more of it. So the earlier stretch is cut into blocks with as many requests as the later one has,
# and of each text is known in how many of all blocks it stands, and whether the later one is among them.
#
# Where nothing has changed, and texts come independently of one another, a text that stands in c of the k + 1 blocks is as likely in
# any c of them. So among texts of the same c, who stands in the later block is exchangeable.
#
# Permuting that within each c is therefore exact, whatever the frequencies are, and each text is one witness however often it came (a
# stratified permutation test; Good 2005, ch. 3). What is not covered: texts that come together because of one another. A mailing that
# makes a hundred people write is a change, and is seen as one.

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TextPresence:
    """Of n distinct texts, where each stands.

    Attributes:
        blocks: (n,) in how many of the blocks, the later one among them.
        later: (n,) 1.0 where it stands in the later one, else 0.0.
        number: of blocks, the later one among them.
        size: requests in a block.
        earlier_at, later_at: (n,) the places in the earlier and in the later stretch, as they were given, at which it came last; -1 where
            it did not.
    """

    blocks: Ints
    later: Floats
    number: int
    size: int
    earlier_at: Ints
    later_at: Ints

    @property
    def n(self) -> int:
        """How many distinct texts there are."""
        return len(self.blocks)

    @property
    def earlier_texts(self) -> int:
        """How many of them stand in the earlier stretch."""
        return int((self.blocks > self.later).sum())

    @property
    def later_texts(self) -> int:
        """How many of them stand in the later block."""
        return int(self.later.sum())

    def only(self, known: NDArray[np.bool_]) -> TextPresence:
        """The same of the (n,) texts that are `known`: what is compared of these alone must be permuted among these alone, for who is known
        may go with where it stands."""
        parts = (part[known] for part in (self.earlier_at, self.later_at))
        return TextPresence(self.blocks[known], self.later[known], self.number, self.size, *parts)

    def contrast(self, later: Floats) -> Floats:
        """(..., n) of `later` (..., n): what each text weighs in the later block less what it weighs in the earlier ones; each of the two
        adds up to 1. A mean under it is the difference of two means."""
        earlier = self.blocks - later
        return np.asarray(later / later.sum(axis=-1, keepdims=True) - earlier / earlier.sum(axis=-1, keepdims=True))

    def drawn(self, rng: np.random.Generator, times: int) -> Floats:
        """(times, n) `later` as it could as well be: permuted among texts that stand in as many blocks."""
        found = np.empty((times, self.n))
        for count in np.unique(self.blocks):
            places = np.flatnonzero(self.blocks == count)
            found[:, places] = rng.permuted(np.broadcast_to(self.later[places], (times, len(places))), axis=1)
        return found


def find_presence(earlier: Sequence[Hashable], later: Sequence[Hashable], most_blocks: int = 8) -> TextPresence | None:
    """Where distinct texts stand, from what each request's text is called, the oldest first.

    Blocks have as many requests as the shorter stretch. Of the later stretch the newest count, of the earlier one the newest that fill
    whole blocks, at most `most_blocks`. None where a side is empty, or every text stands in every block: then there is nothing to compare.
    """
    size = min(len(earlier), len(later))
    if not size:
        return None
    whole = min(len(earlier) // size, most_blocks)
    start, begun = len(earlier) - whole * size, len(later) - size
    number: dict[Hashable, int] = {}
    stands: list[tuple[int, int]] = []
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for place in range(start, len(earlier)):
        one = number.setdefault(earlier[place], len(number))
        stands.append((one, (place - start) // size))
        first[one] = place
    for place in range(begun, len(later)):
        one = number.setdefault(later[place], len(number))
        stands.append((one, whole))
        last[one] = place
    blocks, marks = np.zeros(len(number), dtype=np.int64), np.zeros(len(number))
    for one, block in set(stands):
        blocks[one] += 1
        marks[one] += block == whole
    if not marks.any() or not (blocks > marks).any() or (blocks == whole + 1).all():
        return None
    every = range(len(number))
    places = [np.array([known.get(one, -1) for one in every], dtype=np.int64) for known in (first, last)]
    return TextPresence(blocks, marks, whole + 1, size, places[0], places[1])


# What can be measured of a change between two stretches of texts, as statistics for a permutation test, and how large it is.
#
# Each takes `later`, (times, n) which of n distinct texts stand in the later block (`stats/drift_statistics.py`), the true one or permuted
# ones, and gives (times,) values. A `statistic` is what is tested by: it grows with the change. A `size` is what is told: a lower bound
# of the share of the texts that came from elsewhere, 0..1, up to chance; what chance alone gives is taken off by whoever permutes.
#
# values in order (lengths, scores) the largest distance of the two distribution functions (Kolmogorov 1933, Smirnov 1939), for both
# kinds (labels, languages) chi-square on the counts (Pearson 1900); total variation vectors, near how many of the nearest neighbours of
# later texts are later ones (Schilling 1986, Henze 1988); Kolmogorov's distance of these numbers vectors, all how far a linear
# classifier's out-of-fold scores lie apart, in standard deviations (a classifier two-sample test; Friedman 2003, Lopez-Paz and Oquab
# 2017); Kolmogorov's distance of these scores words the share of the later texts with a word that no earlier text has, and two later
# ones do; the same
#
# By permutation each is exact with cells and samples of any size. Nothing here fits, cuts or chooses by who is the later one but inside
# of what is permuted: the folds, the axes and the words are the same for all permutations.

Mask = NDArray[np.bool_]

FOLDS = 5
AXES = 200
"""Principal axes of vectors that are looked along, the widest first."""
RIDGE = 1.0
NEIGHBOURS = 20
"""Nearest texts that are looked at of each."""
_ROWS = 512
_ROUNDING = 1e-9
_LEAST_LATER = 2
"""Later texts that a new word must stand in: once alone, it is a slip of the pen or a name."""


class DriftStatistic(Protocol):
    """Something that may have changed."""

    def statistic(self, later: Floats) -> Floats:
        """(times,) what is tested by, of (times, n)."""
        ...

    def size(self, later: Floats) -> Floats:
        """(times,) how large the change is, 0..1, of (times, n)."""
        ...


class ValueDrift:
    """Of (n,) values in order. Texts whose value is not known (NaN) count nowhere."""

    def __init__(self, where: TextPresence, values: Floats) -> None:
        known = np.flatnonzero(~np.isnan(values))
        self._where = where
        self._order = known[np.argsort(values[known], kind="stable")]
        inorder = values[self._order]
        self._ends = np.append(inorder[1:] != inorder[:-1], True)[: len(inorder)]

    def statistic(self, later: Floats) -> Floats:
        """Kolmogorov's distance."""
        return self.size(later)

    def size(self, later: Floats) -> Floats:
        """The same."""
        chosen = later[:, self._order]
        return _apart(chosen, self._where.blocks[self._order] - chosen, self._ends)


class CategoryDrift:
    """Of (n,) kinds, each a number from 0; a text whose kind is not known is -1 and counts nowhere."""

    def __init__(self, where: TextPresence, kinds: Ints) -> None:
        known = kinds >= 0
        self.cells = np.zeros((where.n, int(kinds.max(initial=-1)) + 1))
        self.cells[np.flatnonzero(known), kinds[known]] = 1.0
        self.all = where.blocks @ self.cells

    def statistic(self, later: Floats) -> Floats:
        """Chi-square, of the later counts against what all together make expected."""
        seen = later @ self.cells
        expected = seen.sum(axis=1, keepdims=True) * (self.all / max(1e-9, self.all.sum()))
        return np.asarray((np.square(seen - expected) / np.maximum(expected, 1e-9)).sum(axis=1))

    def size(self, later: Floats) -> Floats:
        """Total variation: the share that would have to change its kind."""
        before, after = self.shares(later)
        return np.asarray(np.abs(after - before).sum(axis=1) / 2)

    def shares(self, later: Floats) -> tuple[Floats, Floats]:
        """(times, kinds) the share of each kind in the earlier blocks, and in the later one."""
        seen = later @ self.cells
        before, after = (part / np.maximum(part.sum(axis=1, keepdims=True), 1e-9) for part in (self.all - seen, seen))
        return before, after


class VectorDrift:
    """Of (n, width) vectors.

    The classifier is a ridge regression on which block a text stands in, in closed form, on the `AXES` principal axes of all vectors
    together. Each text is scored by the one that has not seen its fold.
    """

    def __init__(self, where: TextPresence, vectors: Floats, seed: int = 0) -> None:
        self._where = where
        self._weights = where.blocks.astype(np.float64)
        spread = np.asarray(vectors, dtype=np.float64)
        spread = spread - np.average(spread, axis=0, weights=self._weights)
        gram = (spread * self._weights[:, None]).T @ spread
        self._x = spread @ np.linalg.eigh(gram)[1][:, ::-1][:, :AXES]
        self._folds = np.random.default_rng([seed, 5]).permutation(where.n) % FOLDS
        self._inverse = []
        for fold in range(FOLDS):
            rest = self._folds != fold
            table = self._x[rest]
            self._inverse.append(np.linalg.inv((table * self._weights[rest, None]).T @ table + RIDGE * np.eye(self._x.shape[1])))

    def scores(self, later: Floats) -> Floats:
        """(times, n) how much each text looks like a later one, to a classifier that has not seen it."""
        contrast = self._where.contrast(later)
        parts = [contrast[:, self._folds == fold] @ self._x[self._folds == fold] for fold in range(FOLDS)]
        whole = np.sum(parts, axis=0)
        found = np.empty_like(contrast)
        for fold in range(FOLDS):
            found[:, self._folds == fold] = (whole - parts[fold]) @ self._inverse[fold] @ self._x[self._folds == fold].T
        return found

    def statistic(self, later: Floats) -> Floats:
        """The difference of the two mean scores, in standard deviations of all scores."""
        scores = self.scores(later)
        apart = (self._where.contrast(later) * scores).sum(axis=1)
        middle = np.average(scores, axis=1, weights=self._weights)
        spread = np.sqrt(np.average(np.square(scores - middle[:, None]), axis=1, weights=self._weights))
        return np.asarray(apart / np.maximum(spread, 1e-300))

    def size(self, later: Floats) -> Floats:
        """Kolmogorov's distance of the scores: what the best cut between the two tells apart."""
        return _scores_apart(self._where, later, self.scores(later))


class NeighbourDrift:
    """Of (n, width) vectors of length 1: who is among the nearest texts of each, by the cosine.

    It sees what a linear classifier hardly does: a few new subjects, each in a place of its own.
    """

    def __init__(self, where: TextPresence, vectors: Floats) -> None:
        self._where = where
        units = np.asarray(vectors, dtype=np.float32)
        count = min(NEIGHBOURS, where.n - 1)
        near = []
        for start in range(0, where.n, _ROWS):
            alike = units[start : start + _ROWS] @ units.T
            alike[np.arange(len(alike)), start + np.arange(len(alike))] = -np.inf
            near.append(np.argpartition(-alike, count - 1, axis=1)[:, :count])
        self._near = np.concatenate(near)

    def scores(self, later: Floats) -> Floats:
        """(times, n) what the neighbours of each text weigh in the later block, less what they weigh in the earlier ones."""
        return np.asarray(self._where.contrast(later)[:, self._near].sum(axis=2))

    def statistic(self, later: Floats) -> Floats:
        """The difference of the two mean scores."""
        return np.asarray((self._where.contrast(later) * self.scores(later)).sum(axis=1))

    def size(self, later: Floats) -> Floats:
        """Kolmogorov's distance of the scores."""
        return _scores_apart(self._where, later, self.scores(later))


class WordDrift:
    """Of texts as sets of words, each a number from 0."""

    def __init__(self, where: TextPresence, texts: Sequence[set[int]]) -> None:
        self._where = where
        texts_of: dict[int, list[int]] = {}
        for text, words in enumerate(texts):
            for word in words:
                texts_of.setdefault(word, []).append(text)
        # A word of one text can never be in two later ones.
        kept = {word: held for word, held in sorted(texts_of.items()) if len(held) >= _LEAST_LATER}
        self.numbers = list(kept)
        pairs = np.array([(text, place) for place, word in enumerate(self.numbers) for text in kept[word]], dtype=np.int64).reshape(-1, 2)
        self._text, self._starts = pairs[:, 0], np.flatnonzero(np.append(True, np.diff(pairs[:, 1]) != 0))[: len(self.numbers)]
        order = np.argsort(pairs[:, 0], kind="stable")
        self._word, self._holders = pairs[order, 1], np.unique(pairs[:, 0])
        self._begins = np.flatnonzero(np.append(True, np.diff(pairs[order, 0]) != 0))[: len(self._holders)]

    def new(self, later: Floats) -> Floats:
        """(times, words) in how many later texts each word stands, where none of the earlier ones has it and two later ones do; else 0."""
        if not self.numbers:
            return np.zeros((len(later), 0))
        chosen = later[:, self._text]
        inside = np.add.reduceat(chosen, self._starts, axis=1)
        outside = np.add.reduceat(self._where.blocks[self._text] - chosen, self._starts, axis=1)
        return np.where((outside < 0.5) & (inside >= _LEAST_LATER), inside, 0.0)

    def statistic(self, later: Floats) -> Floats:
        """The share of the later texts that hold a new word."""
        new = self.new(later)
        if not self.numbers:
            return np.zeros(len(later))
        held = np.maximum.reduceat(new[:, self._word], self._begins, axis=1) > 0
        return np.asarray((held * later[:, self._holders]).sum(axis=1) / later.sum(axis=1))

    def size(self, later: Floats) -> Floats:
        """The same."""
        return self.statistic(later)


def _scores_apart(where: TextPresence, later: Floats, scores: Floats) -> Floats:
    """(times,) Kolmogorov's distance of scores (times, n)."""
    order = np.argsort(scores, axis=1)
    inorder, chosen = np.take_along_axis(scores, order, axis=1), np.take_along_axis(later, order, axis=1)
    # The same sum in another order is not the same to the last bit.
    ends = np.diff(inorder, axis=1, append=np.inf) > _ROUNDING * np.abs(scores).max(axis=1, keepdims=True)
    return _apart(chosen, where.blocks[order] - chosen, ends)


def _apart(later: Floats, earlier: Floats, ends: Mask) -> Floats:
    """(times,) Kolmogorov's distance of weights (times, n) that stand in the order of their values; `ends` marks the last of equal ones."""
    if not later.shape[1]:
        return np.zeros(len(later))
    gap = np.cumsum(later, axis=1) / np.maximum(later.sum(axis=1, keepdims=True), 1e-9)
    gap -= np.cumsum(earlier, axis=1) / np.maximum(earlier.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray(np.where(ends, np.abs(gap), 0.0).max(axis=1))
