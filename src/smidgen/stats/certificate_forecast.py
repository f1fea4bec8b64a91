"""A forecast of what a certificate will allow, from answers to other rows or from a risk-coverage curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.certification import RiskClaim, ThresholdStep, certify_threshold
from smidgen.stats.intervals import Floats
from smidgen.stats.risk_bounds import binomial_p_value, most_errors

# The rows are resampled (Efron 1979) at the sizes to come: test rows, which give the thresholds, and a calibration sample; then
# `certify_threshold` tests them. The outcomes' spread is the forecast, with how often nothing is certified.

_DRAWS, _FEWER_DRAWS = 60, 20
_LIKELY = 0.8
_GROWTH = 1.5
_MOST_GROWTH = 64.0
_STEPS = 40
"""Thresholds that are tried. A certificate's are five times as many, and let it come a little nearer to what could be answered."""
_MOST_ROWS = 6_000
"""Of a drawn sample: what more rows would show is not worth the time."""


@dataclass(frozen=True, slots=True)
class CertificateForecast:
    """The share of requests that a certificate would let be answered: the median of the draws, and between which values nine of ten lie.

    A draw that gives no certificate counts as a share of 0. `likely` is the share of the draws that give one.
    """

    share: float
    low: float
    high: float
    likely: float


def forecast_certificate(
    scores: ArrayLike, losses: ArrayLike, testing: int, certifying: int, claim: RiskClaim, seed: int = 0
) -> CertificateForecast:
    """Forecast a certificate on `certifying` rows, with thresholds from the curve of `testing` others.

    Args:
        scores, losses: (n,) of rows that the model did not learn from: the score of its answer, and its loss, 0 or 1.
    """
    shares = _shares(scores, losses, testing, certifying, claim, _DRAWS, seed)
    if not len(shares):
        return CertificateForecast(0.0, 0.0, 0.0, 0.0)
    low, middle, high = np.quantile(shares, (0.05, 0.5, 0.95)).tolist()
    return CertificateForecast(middle, low, high, float((shares > 0).mean()))


def growth_needed(scores: ArrayLike, losses: ArrayLike, testing: int, certifying: int, claim: RiskClaim, seed: int = 0) -> float | None:
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


def _shares(scores: ArrayLike, losses: ArrayLike, testing: int, certifying: int, claim: RiskClaim, draws: int, seed: int) -> Floats:
    """(draws,) the share that is certified in each; none where there are no rows."""
    score, loss = np.asarray(scores, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if score.shape != loss.shape or score.ndim != 1:
        raise ValueError(f"scores and losses must be two vectors of one length, not {score.shape} and {loss.shape}")
    if not len(score) or testing < 1 or certifying < 1:
        return np.zeros(0)
    rng = np.random.default_rng([seed, 97])
    return np.array([_drawn(score, loss, testing, certifying, claim, rng) for _ in range(draws)])


def _drawn(score: Floats, loss: Floats, testing: int, certifying: int, claim: RiskClaim, rng: np.random.Generator) -> float:
    population = rng.integers(0, len(score), len(score))
    tests, sample = (population[rng.integers(0, len(population), min(_MOST_ROWS, count))] for count in (testing, certifying))
    outcome = certify_threshold(score[sample], loss[sample], _tries(score[tests]), claim)
    return outcome.share if outcome.threshold is not None else 0.0


def _tries(scores: Floats) -> list[ThresholdStep]:
    """Thresholds from strict to lax, as far apart in the share of the requests that score as high."""
    ranked = np.sort(scores)
    wanted = np.unique(np.ceil(np.arange(1, _STEPS + 1) / _STEPS * len(ranked)).astype(np.int64))
    thresholds = np.unique(ranked[len(ranked) - wanted])[::-1]
    reached = len(ranked) - np.searchsorted(ranked, thresholds, side="left")
    return [ThresholdStep(float(threshold), float(count) / len(ranked)) for threshold, count in zip(thresholds, reached, strict=True)]


# Where looks at the same rows share one level (`risk_bounds.level_of_look`), a look that is in vain makes the next ones stricter for
# nothing. When to look may be chosen by anything that knows nothing of the certifying rows' losses, so choosing by this forecast costs no
# validity.

_LEAST = 0.1  # of the requests: a certificate for fewer is of little use
_EVEN = 0.5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class CertificateChance:
    """The forecast.

    Attributes:
        chance: that some threshold which answers a tenth of the requests or more is certified.
        share: of the requests, what is answered at the laxest threshold that is as likely as not to be certified; 0 where none is.
    """

    chance: float
    share: float


def certificate_chance(
    curve: Sequence[tuple[float, float]],
    measured: int,
    n: int,
    alpha: float,
    delta: float,
    overall: float | None = None,
    overall_level: float | None = None,
) -> CertificateChance:
    """The chance of a certificate on `n` rows.

    Args:
        curve: (coverage, risk) of thresholds.
        measured: rows that the curve was measured on. A risk that was seen on k of them is taken with half an error more on one row more.
        n: rows that certify.
        alpha, delta: of the test.
        overall: of all requests, the share that may be answered and disagree, where that is asked: on average of one look, or as a bound
            that is tested at `overall_level`.

    Of graded losses it is less than the chance: none of the same mean is as hard to certify as one of 0 and 1.
    """
    chance, share = 0.0, 0.0
    most = n
    if overall is not None:
        most = math.floor(overall * (n + 1) - 1 + _ROUNDING) if overall_level is None else most_errors(n, overall, overall_level)
    for coverage, risk in curve:
        answered = math.floor(coverage * n)
        errors = min(most, most_errors(answered, alpha, delta)) if answered else -1
        if coverage < _LEAST or errors < 0:
            continue
        seen = coverage * measured
        here = binomial_p_value(errors, answered, min(1.0, (risk * seen + 0.5) / (seen + 1)))
        chance = max(chance, here)
        if here >= _EVEN:
            share = max(share, coverage)
    return CertificateChance(chance, share)
