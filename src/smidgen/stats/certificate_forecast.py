"""Forecast the share of requests that a certificate will let a model answer, from its answers to other rows or a risk-coverage curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.certification import RiskClaim, ThresholdStep, certify_threshold
from smidgen.stats.intervals import Floats
from smidgen.stats.risk_bounds import binomial_p_value, most_errors

# The rows are resampled (Efron 1979) at the future sizes: test rows, which give the thresholds, and a calibration sample, on which
# `certify_threshold` tests them. The spread of the outcomes is the forecast, with the share of draws that certify nothing.

_DRAWS, _FEWER_DRAWS = 60, 20
_LIKELY = 0.8
_GROWTH = 1.5
_MOST_GROWTH = 64.0
_STEPS = 40
"""Thresholds to try. A real certificate tries five times as many, and so comes slightly nearer to the possible share."""
_MOST_ROWS = 6_000
"""Most rows of a drawn sample: more would change the forecast little."""


@dataclass(frozen=True, slots=True)
class CertificateForecast:
    """Forecast of the share of requests that a certificate lets a model answer: the median of the draws, and a 90 % range.

    A draw without a certificate counts as a share of 0. `likely` is the share of the draws with one.
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
    """Return by which factor the rows must grow until four in five draws give a certificate, if the model does not improve.

    Approximate. None if 64 times as many do not suffice.
    """
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
    """Return the share that is certified in each draw, (draws,); empty without rows."""
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
    """Return thresholds from strict to lax, in equal steps of the share of requests that score as high."""
    ranked = np.sort(scores)
    wanted = np.unique(np.ceil(np.arange(1, _STEPS + 1) / _STEPS * len(ranked)).astype(np.int64))
    thresholds = np.unique(ranked[len(ranked) - wanted])[::-1]
    reached = len(ranked) - np.searchsorted(ranked, thresholds, side="left")
    return [ThresholdStep(float(threshold), float(count) / len(ranked)) for threshold, count in zip(thresholds, reached, strict=True)]


# Looks at the same rows share one level (`risk_bounds.level_of_look`), so a look in vain only makes the next ones stricter. The time of a
# look may depend on anything except the certifying rows' losses, so choosing it by this forecast costs no validity.

_LEAST = 0.1  # of the requests: a certificate for fewer is of little use
_EVEN = 0.5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class CertificateChance:
    """The forecast.

    Attributes:
        chance: chance that some threshold that answers at least a tenth of the requests is certified.
        share: share of requests answered at the laxest threshold that is at least as likely as not to be certified; 0 if there is none.
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
    """Return the chance of a certificate on `n` rows.

    Args:
        curve: (coverage, risk) of thresholds.
        measured: rows that the curve was measured on. A risk seen on k of them is taken as if there were one more row with half an error.
        n: rows that certify.
        alpha, delta: of the test.
        overall: largest share of all requests that may be answered and disagree, if asked for: an average over one look, or a bound tested
            at `overall_level`.

    For graded losses this is a lower bound of the chance: among losses with the same mean, those of 0 and 1 are the hardest to certify.
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
