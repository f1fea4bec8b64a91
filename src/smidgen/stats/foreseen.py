"""What a certificate is likely to let a model answer, foreseen before there is a certificate, from answers to other rows.

The rows are resampled (Efron 1979): each time a population as these may well have been drawn from, of it the test rows whose curve the
thresholds come from and the calibration sample, at the sizes that they will have; then the very test of `certified`. What comes out is the
spread of the outcome, with how often there is none: a sample of fifty rows certifies nothing, however good the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.certified import Claim, Step, certified
from smidgen.stats.intervals import Floats

_DRAWS, _FEWER_DRAWS = 60, 20
_LIKELY = 0.8
_GROWTH = 1.5
_MOST_GROWTH = 64.0
_STEPS = 40
"""Thresholds that are tried. A certificate's are five times as many, and let it come a little nearer to what could be answered."""
_MOST_ROWS = 6_000
"""Of a drawn sample: what more rows would show is not worth the time."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The share of requests that a certificate would let be answered: the median of the draws, and between which values nine of ten lie.

    A draw that gives no certificate counts as a share of 0. `likely` is the share of the draws that give one.
    """

    share: float
    low: float
    high: float
    likely: float


def foreseen(scores: ArrayLike, losses: ArrayLike, testing: int, certifying: int, claim: Claim, seed: int = 0) -> Foreseen:
    """What a certificate on `certifying` rows would give, its thresholds from the curve of `testing` others.

    Args:
        scores, losses: (n,) of rows that the model did not learn from: the score of its answer, and its loss, 0 or 1.
    """
    shares = _shares(scores, losses, testing, certifying, claim, _DRAWS, seed)
    if not len(shares):
        return Foreseen(0.0, 0.0, 0.0, 0.0)
    low, middle, high = np.quantile(shares, (0.05, 0.5, 0.95)).tolist()
    return Foreseen(middle, low, high, float((shares > 0).mean()))


def growth_needed(scores: ArrayLike, losses: ArrayLike, testing: int, certifying: int, claim: Claim, seed: int = 0) -> float | None:
    """About how many times as many rows there must be until a certificate comes in four of five draws, were the model no better for them.
    None where not even 64 times as many would do."""
    growth = 1.0
    while growth <= _MOST_GROWTH:
        tests, sample = (min(_MOST_ROWS, round(max(1, rows) * growth)) for rows in (testing, certifying))
        shares = _shares(scores, losses, tests, sample, claim, _FEWER_DRAWS, seed)
        if len(shares) and float((shares > 0).mean()) >= _LIKELY:
            return growth
        if min(tests, sample) == _MOST_ROWS:
            return None
        growth *= _GROWTH
    return None


def _shares(scores: ArrayLike, losses: ArrayLike, testing: int, certifying: int, claim: Claim, draws: int, seed: int) -> Floats:
    """(draws,) the share that is certified in each; none where there are no rows."""
    score, loss = np.asarray(scores, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if score.shape != loss.shape or score.ndim != 1:
        raise ValueError(f"scores and losses must be two vectors of one length, not {score.shape} and {loss.shape}")
    if not len(score) or testing < 1 or certifying < 1:
        return np.zeros(0)
    rng = np.random.default_rng([seed, 97])
    return np.array([_drawn(score, loss, testing, certifying, claim, rng) for _ in range(draws)])


def _drawn(score: Floats, loss: Floats, testing: int, certifying: int, claim: Claim, rng: np.random.Generator) -> float:
    population = rng.integers(0, len(score), len(score))
    tests, sample = (population[rng.integers(0, len(population), min(_MOST_ROWS, count))] for count in (testing, certifying))
    outcome = certified(score[sample], loss[sample], _tries(score[tests]), claim)
    return outcome.share if outcome.threshold is not None else 0.0


def _tries(scores: Floats) -> list[Step]:
    """Thresholds from strict to lax, as far apart in the share of the requests that score as high."""
    ranked = np.sort(scores)
    wanted = np.unique(np.ceil(np.arange(1, _STEPS + 1) / _STEPS * len(ranked)).astype(np.int64))
    thresholds = np.unique(ranked[len(ranked) - wanted])[::-1]
    reached = len(ranked) - np.searchsorted(ranked, thresholds, side="left")
    return [Step(float(threshold), float(count) / len(ranked)) for threshold, count in zip(thresholds, reached, strict=True)]
