"""Test for changes between two windows of texts: statistics for a permutation test, and the size of each change."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Requests are not independent: texts repeat, and a client that retries sends the same text a hundred times. Counted by request, such a
# client weighs a hundred times. Counted once per window, the texts of a short window are a different sample from those of a long one. So
# the earlier window is cut into blocks with as many requests as the later one. For each text, the number of blocks that contain it is
# known, and whether the later block does.
#
# If nothing has changed, a text that is in c of the k + 1 blocks is equally likely in any c of them. So permuting among texts with the same
# c is exact, whatever the frequencies are (a stratified permutation test; Good 2005, ch. 3). Texts that cause one another are not covered:
# if a mailing makes a hundred people write, that is seen as a change.

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TextPresence:
    """The blocks that contain each of n distinct texts.

    Attributes:
        blocks: (n,) number of blocks with the text, including the later one.
        later: (n,) 1.0 if the text is in the later block, else 0.0.
        number: number of blocks, including the later one.
        size: requests per block.
        earlier_at, later_at: (n,) the text's last place in the earlier and in the later window, as given; -1 if it is not there.
    """

    blocks: Ints
    later: Floats
    number: int
    size: int
    earlier_at: Ints
    later_at: Ints

    @property
    def n(self) -> int:
        """Number of distinct texts."""
        return len(self.blocks)

    @property
    def earlier_texts(self) -> int:
        """Number of texts in the earlier window."""
        return int((self.blocks > self.later).sum())

    @property
    def later_texts(self) -> int:
        """Number of texts in the later block."""
        return int(self.later.sum())

    def only(self, known: NDArray[np.bool_]) -> TextPresence:
        """Restrict to the (n,) texts that are `known`. A statistic on these alone must be permuted among these alone.

        The reason: whether a value is known may depend on the block.
        """
        parts = (part[known] for part in (self.earlier_at, self.later_at))
        return TextPresence(self.blocks[known], self.later[known], self.number, self.size, *parts)

    def contrast(self, later: Floats) -> Floats:
        """Return the weight of each text in the later block minus its weight in the earlier ones, (..., n). Both sum to 1.

        A mean under these weights is the difference of two means.
        """
        earlier = self.blocks - later
        return np.asarray(later / later.sum(axis=-1, keepdims=True) - earlier / earlier.sum(axis=-1, keepdims=True))

    def drawn(self, rng: np.random.Generator, times: int) -> Floats:
        """Draw permutations of `later`, (times, n), among texts that are in the same number of blocks."""
        found = np.empty((times, self.n))
        for count in np.unique(self.blocks):
            places = np.flatnonzero(self.blocks == count)
            found[:, places] = rng.permuted(np.broadcast_to(self.later[places], (times, len(places))), axis=1)
        return found


def find_presence(earlier: Sequence[Hashable], later: Sequence[Hashable], most_blocks: int = 8) -> TextPresence | None:
    """Find the blocks of each distinct text, from a name for each request's text, the oldest first.

    Blocks have as many requests as the shorter window. The newest requests of the later window count, and of the earlier one the newest
    that fill whole blocks, at most `most_blocks`. None if a side is empty, or every text is in every block: there is then nothing to
    compare.
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


# Each statistic takes `later`, (times, n): which of n distinct texts are in the later block, as observed or permuted. It returns (times,)
# values. `statistic` is tested, and grows with the change. `size` is a lower bound of the share of texts that came from elsewhere, 0..1, up
# to chance, which the caller subtracts.
#
# | compared | statistic | size |
# |---|---|---|
# | ordered values (lengths, scores) | largest distance of the distribution functions (Kolmogorov 1933, Smirnov 1939) | the same |
# | kinds (labels, languages) | chi-square on the counts (Pearson 1900) | total variation |
# | vectors, near | later texts among the nearest neighbours of later ones (Schilling 1986, Henze 1988) | Kolmogorov's distance |
# | vectors, all | a linear classifier's out-of-fold scores, in deviations (Lopez-Paz and Oquab 2017) | Kolmogorov's distance |
# | words | share of later texts with a word that no earlier text has and two later ones do | the same |
#
# Each is exact by permutation at any size: folds, axes and words are the same for all permutations.

Mask = NDArray[np.bool_]

FOLDS = 5
AXES = 200
"""Principal axes of the vectors to use, the widest first."""
RIDGE = 1.0
NEIGHBOURS = 20
"""Nearest texts to look at for each text."""
_ROWS = 512
_ROUNDING = 1e-9
_LEAST_LATER = 2
"""Fewest later texts with a new word: a word of one text may be a typing error or a name."""


class DriftStatistic(Protocol):
    """A statistic of a possible change."""

    def statistic(self, later: Floats) -> Floats:
        """Return the test statistic, (times,), of (times, n)."""
        ...

    def size(self, later: Floats) -> Floats:
        """Return the size of the change, 0..1, (times,), of (times, n)."""
        ...


class ValueDrift:
    """Drift of ordered values, (n,). Texts with an unknown value (NaN) do not count."""

    def __init__(self, where: TextPresence, values: Floats) -> None:
        known = np.flatnonzero(~np.isnan(values))
        self._where = where
        self._order = known[np.argsort(values[known], kind="stable")]
        inorder = values[self._order]
        self._ends = np.append(inorder[1:] != inorder[:-1], True)[: len(inorder)]

    def statistic(self, later: Floats) -> Floats:
        """Return Kolmogorov's distance."""
        return self.size(later)

    def size(self, later: Floats) -> Floats:
        """Return the statistic itself."""
        chosen = later[:, self._order]
        return _apart(chosen, self._where.blocks[self._order] - chosen, self._ends)


class CategoryDrift:
    """Drift of kinds, (n,), numbered from 0. Texts of unknown kind are -1 and do not count."""

    def __init__(self, where: TextPresence, kinds: Ints) -> None:
        known = kinds >= 0
        self.cells = np.zeros((where.n, int(kinds.max(initial=-1)) + 1))
        self.cells[np.flatnonzero(known), kinds[known]] = 1.0
        self.all = where.blocks @ self.cells

    def statistic(self, later: Floats) -> Floats:
        """Return chi-square of the later counts against those expected from all texts together."""
        seen = later @ self.cells
        expected = seen.sum(axis=1, keepdims=True) * (self.all / max(1e-9, self.all.sum()))
        return np.asarray((np.square(seen - expected) / np.maximum(expected, 1e-9)).sum(axis=1))

    def size(self, later: Floats) -> Floats:
        """Return the total variation: the share of texts that would have to change their kind."""
        before, after = self.shares(later)
        return np.asarray(np.abs(after - before).sum(axis=1) / 2)

    def shares(self, later: Floats) -> tuple[Floats, Floats]:
        """Return the share of each kind in the earlier blocks, and in the later one, each (times, kinds)."""
        seen = later @ self.cells
        before, after = (part / np.maximum(part.sum(axis=1, keepdims=True), 1e-9) for part in (self.all - seen, seen))
        return before, after


class VectorDrift:
    """Drift of vectors, (n, width), by a linear classifier.

    The classifier is a ridge regression, in closed form, that predicts a text's block from the `AXES` principal axes of all vectors
    together. Each text is scored by the fold's classifier that was not trained on it.
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
        """Return how much each text looks like a later one to a classifier that has not seen it, (times, n)."""
        contrast = self._where.contrast(later)
        parts = [contrast[:, self._folds == fold] @ self._x[self._folds == fold] for fold in range(FOLDS)]
        whole = np.sum(parts, axis=0)
        found = np.empty_like(contrast)
        for fold in range(FOLDS):
            found[:, self._folds == fold] = (whole - parts[fold]) @ self._inverse[fold] @ self._x[self._folds == fold].T
        return found

    def statistic(self, later: Floats) -> Floats:
        """Return the difference of the two mean scores, in standard deviations of all scores."""
        scores = self.scores(later)
        apart = (self._where.contrast(later) * scores).sum(axis=1)
        middle = np.average(scores, axis=1, weights=self._weights)
        spread = np.sqrt(np.average(np.square(scores - middle[:, None]), axis=1, weights=self._weights))
        return np.asarray(apart / np.maximum(spread, 1e-300))

    def size(self, later: Floats) -> Floats:
        """Return Kolmogorov's distance of the scores: how well the best cut separates the two sides."""
        return _scores_apart(self._where, later, self.scores(later))


class NeighbourDrift:
    """Drift of unit vectors, (n, width), by the nearest texts of each (cosine).

    It sees changes that a linear classifier hardly does: a few new subjects, each in its own region.
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
        """Return the weight of each text's neighbours in the later block minus that in the earlier ones, (times, n)."""
        return np.asarray(self._where.contrast(later)[:, self._near].sum(axis=2))

    def statistic(self, later: Floats) -> Floats:
        """Return the difference of the two mean scores."""
        return np.asarray((self._where.contrast(later) * self.scores(later)).sum(axis=1))

    def size(self, later: Floats) -> Floats:
        """Return Kolmogorov's distance of the scores."""
        return _scores_apart(self._where, later, self.scores(later))


class WordDrift:
    """Drift of texts as sets of words, numbered from 0."""

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
        """Return how many later texts have each word, (times, words), if no earlier text has it and two later ones do; else 0."""
        if not self.numbers:
            return np.zeros((len(later), 0))
        chosen = later[:, self._text]
        inside = np.add.reduceat(chosen, self._starts, axis=1)
        outside = np.add.reduceat(self._where.blocks[self._text] - chosen, self._starts, axis=1)
        return np.where((outside < 0.5) & (inside >= _LEAST_LATER), inside, 0.0)

    def statistic(self, later: Floats) -> Floats:
        """Return the share of the later texts with a new word."""
        new = self.new(later)
        if not self.numbers:
            return np.zeros(len(later))
        held = np.maximum.reduceat(new[:, self._word], self._begins, axis=1) > 0
        return np.asarray((held * later[:, self._holders]).sum(axis=1) / later.sum(axis=1))

    def size(self, later: Floats) -> Floats:
        """Return the statistic itself."""
        return self.statistic(later)


def _scores_apart(where: TextPresence, later: Floats, scores: Floats) -> Floats:
    """Return Kolmogorov's distance of scores (times, n), shape (times,)."""
    order = np.argsort(scores, axis=1)
    inorder, chosen = np.take_along_axis(scores, order, axis=1), np.take_along_axis(later, order, axis=1)
    # Sums in another order may differ in the last bits, so nearly equal scores count as equal.
    ends = np.diff(inorder, axis=1, append=np.inf) > _ROUNDING * np.abs(scores).max(axis=1, keepdims=True)
    return _apart(chosen, where.blocks[order] - chosen, ends)


def _apart(later: Floats, earlier: Floats, ends: Mask) -> Floats:
    """Return Kolmogorov's distance of weights (times, n) in the order of their values, shape (times,).

    `ends` marks the last of equal values.
    """
    if not later.shape[1]:
        return np.zeros(len(later))
    gap = np.cumsum(later, axis=1) / np.maximum(later.sum(axis=1, keepdims=True), 1e-9)
    gap -= np.cumsum(earlier, axis=1) / np.maximum(earlier.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray(np.where(ends, np.abs(gap), 0.0).max(axis=1))


ENOUGH = 20
"""Number of permutations at or above the observed value after which drawing stops."""
BY_CHANCE = 100
"""Permutations for the size expected by chance."""
_AT_ONCE, _CELLS = 100, 1_000_000


@dataclass(frozen=True)
class PermutationResult:
    """Result for one statistic: the p-value, the number of permutations, the size of the change, and its mean under permutation."""

    p: float
    drawn: int
    observed: float
    by_chance: float

    @property
    def size(self) -> float:
        """The size above chance, 0..1."""
        return max(0.0, self.observed - self.by_chance)


def permutation_test(where: TextPresence, shifts: Mapping[str, DriftStatistic], most: int, seed: int = 0) -> dict[str, PermutationResult]:
    """Test each statistic by permutation.

    Drawing stops once `ENOUGH` permutations have reached the observed value, because only small p-values need many. The p-value is `reached
    / drawn`, or `(reached + 1) / (drawn + 1)`, and is valid either way (Besag and Clifford 1991). All statistics use the same permutations.

    Args:
        most: most permutations.
        seed: seed of the draws.
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
    """Adjust p-values so that the chance of any false rejection is at most the level they are compared with (Holm 1979)."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, (name, p) in enumerate(sorted(ps.items(), key=lambda entry: entry[1])):
        largest = max(largest, min(1.0, (len(ps) - place) * p))
        adjusted[name] = largest
    return {name: adjusted[name] for name in ps}
