"""P-values by permutation for several statistics at once, with as many permutations as each needs, and Holm's correction.

A test whose value is nothing special shows that after a hundred permutations; only what is rare needs many. Drawing goes on until so many
permutations have reached the observed value, or the most were drawn. The p-value is then `reached / drawn`, or `(reached + 1) / (drawn +
1)`: it holds its level either way (Besag and Clifford 1991). All statistics see the same permutations, which saves drawing them; each
p-value is valid by itself, and Holm asks for no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smidgen.stats.drift_statistics import DriftStatistic, Floats, TextPresence

ENOUGH = 20
"""Permutations that reach the observed value, after which it is nothing special."""
BY_CHANCE = 100
"""Permutations by which the size that chance gives is measured."""
_AT_ONCE, _CELLS = 100, 1_000_000
_ROUNDING = 1e-9


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
    """Test each shift with at most so many permutations. The seed decides which are drawn."""
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
