"""Confidence intervals: for shares, for resampled statistics, and for the difference of two models on the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

RESAMPLES = 1000
_GROUPS = 400
_CHUNK_CELLS = 4_000_000  # resample counts held at once: 32 MB of float64


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a share of `n` rows (Wilson 1927; recommended at every n by Brown, Cai and DasGupta 2001).

    Without rows: (0, 1). Raises ValueError for impossible counts.
    """
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} rows are impossible")
    if n == 0:
        return 0.0, 1.0
    z = z_value(confidence)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula gives exactly 0 and 1. Rounding must not change that.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def z_value(confidence: float) -> float:
    """Return the two-sided normal quantile: 1.96 for 0.95."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def bootstrap(
    counts: NDArray[np.int64],
    statistic: Callable[[Floats], Floats],
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Return the bias-corrected bootstrap interval of a statistic of pattern counts (Efron 1981).

    Rows that look the same to the statistic are one pattern, so a resample of n rows is one multinomial draw over the patterns, and all
    resamples are computed at once.

    Args:
        counts: (patterns,) number of rows with each pattern.
        statistic: maps (resamples, patterns) counts to (resamples,) values; NaN if undefined.
        seed: of the draws.

    Returns:
        (low, high); both NaN without rows. If every resample gives the same value, the interval has no width: callers handle that.
    """
    total = int(counts.sum())
    if total == 0:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    share = counts / total
    step = max(1, _CHUNK_CELLS // len(counts))
    values = np.concatenate(
        [statistic(rng.multinomial(total, share, size=min(step, resamples - at)).astype(np.float64)) for at in range(0, resamples, step)]
    )
    values = np.sort(values[~np.isnan(values)])
    if len(values) == 0:
        return math.nan, math.nan
    estimate = float(statistic(counts[None, :].astype(np.float64))[0])
    low, high = _bias_corrected(values, estimate, confidence)
    return float(low), float(high)


def mean_share(values: Floats, *, seed: int = 0, confidence: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of (n,) values in 0..1, such as the grades of written texts.

    Without rows: (0, 1). If all values are the same, their spread is unknown, and the interval is Wilson's, which is as wide as values in
    0..1 allow. Raises ValueError for values outside of 0..1.
    """
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"the values must lie in 0..1, not {values.min()} to {values.max()}")
    if not len(values) or values.min() == values.max():
        return wilson(round(float(values.sum())), len(values), confidence)
    return _mean(values, seed, confidence)


def _mean(values: Floats, seed: int, confidence: float) -> tuple[float, float]:
    """Return the bootstrap interval of a mean. Many different values are drawn in groups of neighbours, each as its group's mean."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) > _GROUPS:
        groups = np.array_split(np.sort(values), _GROUPS)
        distinct, counts = np.array([group.mean() for group in groups]), np.array([len(group) for group in groups])
    return bootstrap(counts.astype(np.int64), lambda drawn: drawn @ distinct / drawn.sum(axis=1), seed=seed, confidence=confidence)


def _bias_corrected(values: Floats, estimate: float, confidence: float) -> tuple[float, float]:
    """Shift percentiles by twice the median bias of the resamples: statistics such as macro-F1 resample too low."""
    below = (np.count_nonzero(values < estimate) + 0.5 * np.count_nonzero(values == estimate)) / len(values)
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(below, 0.01), 0.99))
    z = z_value(confidence)
    low, high = np.quantile(values, [normal.cdf(2 * bias - z), normal.cdf(2 * bias + z)])
    return min(float(low), estimate), max(float(high), estimate)


@dataclass(frozen=True, slots=True)
class MetricChange:
    """The change of a metric between two models on the same rows, with its 95 % interval.

    Attributes:
        value: after minus before; negative is a loss.
        low, high: of the change.
        n: rows.
        p: exact two-sided p-value of "no change" if there is one (McNemar), else None.
        gained, lost: rows that became right, and that became wrong.
    """

    value: float
    low: float
    high: float
    n: int
    p: float | None = None
    gained: int = 0
    lost: int = 0


def paired_change(before: NDArray[np.bool_], after: NDArray[np.bool_], confidence: float = 0.95) -> MetricChange:
    """Return the change in accuracy between two models on the same rows.

    Args:
        before, after: (n,) whether each model was right on each row.

    The interval is Agresti and Min's (2005): Wald's with half a row added to each cell of the paired table. It keeps its coverage for small
    n, and has a width even if no answer changed. The p-value is McNemar's exact one.
    """
    if before.shape != after.shape or before.ndim != 1:
        raise ValueError(f"paired answers must be two vectors of one length, not {before.shape} and {after.shape}")
    n = len(before)
    if n == 0:
        return MetricChange(0.0, -1.0, 1.0, 0, 1.0)
    gained, lost = int(np.count_nonzero(~before & after)), int(np.count_nonzero(before & ~after))
    value = (gained - lost) / n
    centre = (gained - lost) / (n + 2)
    spread = z_value(confidence) * math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2)
    low, high = max(-1.0, min(centre - spread, value)), min(1.0, max(centre + spread, value))
    return MetricChange(value, low, high, n, mcnemar(gained, lost), gained, lost)


def paired_grades(before: Floats, after: Floats, confidence: float = 0.95, seed: int = 0) -> MetricChange:
    """Return the change in the mean grade between two models on the same rows, with its bootstrap interval over rows.

    Args:
        before, after: (n,) each model's grade of each row, in 0..1.

    `gained` and `lost` count rows whose grade rose and fell; there is no p-value. If no grade changed, the interval is that of
    `paired_change`: half a row gained, half a row lost.
    """
    if before.shape != after.shape or before.ndim != 1:
        raise ValueError(f"paired grades must be two vectors of one length, not {before.shape} and {after.shape}")
    n = len(before)
    if n == 0:
        return MetricChange(0.0, -1.0, 1.0, 0)
    change = after - before
    value = float(change.mean())
    low, high = _mean(change, seed, confidence)
    if change.min() == change.max():
        spread = z_value(confidence) / (n + 2)
        low, high = max(-1.0, value - spread), min(1.0, value + spread)
    return MetricChange(value, low, high, n, None, int(np.count_nonzero(change > 0)), int(np.count_nonzero(change < 0)))


def mcnemar(gained: int, lost: int) -> float:
    """Return McNemar's exact two-sided p-value: the chance of a split this uneven among changed rows if neither model is better."""
    changed = gained + lost
    if changed == 0:
        return 1.0
    few = min(gained, lost)
    logs = [math.lgamma(changed + 1) - math.lgamma(k + 1) - math.lgamma(changed - k + 1) - changed * math.log(2) for k in range(few + 1)]
    top = max(logs)
    return min(1.0, 2 * math.exp(top) * math.fsum(math.exp(value - top) for value in logs))
