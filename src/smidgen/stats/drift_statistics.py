"""Changes between two stretches of texts: statistics for a permutation test, and the size of each change."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Requests are not independent draws: a text comes again and again, and a client that retries sends it a hundred times. Counted by request,
# one such client is a hundred witnesses. Counted once in each stretch, the texts of a short stretch are another sample than those of a
# long one. So the earlier stretch is cut into blocks with as many requests as the later one, and of each text it is known in how many of
# all blocks it stands, and whether the later one is among them.
#
# Where nothing has changed, a text that stands in c of the k + 1 blocks is as likely in any c of them. Permuting within each c is therefore
# exact, whatever the frequencies are (a stratified permutation test; Good 2005, ch. 3). Texts that come together because of one another
# are not covered: a mailing that makes a hundred people write is seen as a change.

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
        """Restrict it to the (n,) texts that are `known`: what is compared of these alone must be permuted among these alone, for who is
        known may go with where it stands."""
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


# Each statistic takes `later`, (times, n): which of n distinct texts stand in the later block, the true one or permuted ones. It gives
# (times,) values. `statistic` is tested, and grows with the change. `size` is a lower bound of the share of the texts that came from
# elsewhere, 0..1, up to chance, which the caller takes off.
#
# | compared | statistic | size |
# |---|---|---|
# | values in order (lengths, scores) | largest distance of the distribution functions (Kolmogorov 1933, Smirnov 1939) | the same |
# | kinds (labels, languages) | chi-square on the counts (Pearson 1900) | total variation |
# | vectors, near | later texts among the nearest neighbours of later ones (Schilling 1986, Henze 1988) | Kolmogorov's distance |
# | vectors, all | a linear classifier's out-of-fold scores, in deviations (Lopez-Paz and Oquab 2017) | Kolmogorov's distance |
# | words | share of later texts with a word that no earlier text has and two later ones do | the same |
#
# Each is exact by permutation at any size: folds, axes and words are the same for all permutations.

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
        """The size is the statistic itself."""
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
        """The size is the statistic itself."""
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


ENOUGH = 20
"""Permutations that reach the observed value, after which it is nothing special."""
BY_CHANCE = 100
"""Permutations by which the size that chance gives is measured."""
_AT_ONCE, _CELLS = 100, 1_000_000


@dataclass(frozen=True)
class PermutationResult:
    """Of one statistic: the p-value, how many permutations it comes from, the size of the change, and its mean under permutation."""

    p: float
    drawn: int
    observed: float
    by_chance: float

    @property
    def size(self) -> float:
        """The size over what chance gives, 0..1."""
        return max(0.0, self.observed - self.by_chance)


def permutation_test(where: TextPresence, shifts: Mapping[str, DriftStatistic], most: int, seed: int = 0) -> dict[str, PermutationResult]:
    """Test each shift by permutation.

    Drawing stops once `ENOUGH` permutations have reached the observed value: only what is rare needs many. The p-value is `reached /
    drawn`, or `(reached + 1) / (drawn + 1)`, and holds its level either way (Besag and Clifford 1991). All shifts see the same
    permutations.

    Args:
        most: permutations at most.
        seed: decides which are drawn.
    """
    true = where.later[None]
    observed = {name: float(shift.statistic(true)[0]) for name, shift in shifts.items()}
    reached = dict.fromkeys(shifts, 0)
    drawn = dict.fromkeys(shifts, 0)
    rng = np.random.default_rng([seed, 11])
    at_once = max(1, min(_AT_ONCE, _CELLS // max(1, where.n)))
    left = dict(shifts)
    done = 0
    while left and done < most:
        later = where.drawn(rng, min(at_once, most - done))
        done += len(later)
        for name, shift in list(left.items()):
            values = shift.statistic(later)
            hits = np.cumsum(values >= observed[name] - _ROUNDING * abs(observed[name]))
            if reached[name] + int(hits[-1]) >= ENOUGH:
                drawn[name] += int(np.searchsorted(hits, ENOUGH - reached[name])) + 1
                reached[name] = ENOUGH
                del left[name]
            else:
                drawn[name] += len(later)
                reached[name] += int(hits[-1])
    chance = _by_chance(where, shifts, np.random.default_rng([seed, 13]), at_once)
    return {
        name: PermutationResult(
            reached[name] / drawn[name] if reached[name] >= ENOUGH else (reached[name] + 1) / (drawn[name] + 1),
            drawn[name],
            float(shift.size(true)[0]),
            chance[name],
        )
        for name, shift in shifts.items()
    }


def _by_chance(where: TextPresence, shifts: Mapping[str, DriftStatistic], rng: np.random.Generator, at_once: int) -> dict[str, float]:
    sums = dict.fromkeys(shifts, 0.0)
    for start in range(0, BY_CHANCE, at_once):
        later: Floats = where.drawn(rng, min(at_once, BY_CHANCE - start))
        for name, shift in shifts.items():
            sums[name] += float(shift.size(later).sum())
    return {name: total / BY_CHANCE for name, total in sums.items()}


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """P-values adjusted so that the chance of any false one among all is at most the level that each is compared with (Holm 1979)."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, (name, p) in enumerate(sorted(ps.items(), key=lambda entry: entry[1])):
        largest = max(largest, min(1.0, (len(ps) - place) * p))
        adjusted[name] = largest
    return {name: adjusted[name] for name in ps}
