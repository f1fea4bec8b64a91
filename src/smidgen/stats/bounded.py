"""Tests of a mean loss in 0..1, for answers that are better or worse: Hoeffding–Bentkus, and betting.

Both give a p-value of "the mean loss is `alpha` or more" that holds at every n, for any distribution of losses in 0..1. Betting is the
one to take where losses vary little: it learns their spread, which Hoeffding and Bentkus take to be as large as it can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.binomial import at_most
from smidgen.stats.intervals import Floats

_MOST_STAKE = 0.9  # of what a single loss of 1 would take all of
_HALVINGS = 24  # to the seventh digit


def hoeffding_bentkus(losses: ArrayLike, alpha: float) -> float:
    """The p-value of Hoeffding's bound in its tight form and Bentkus' one, whichever is smaller (Bates et al. 2021; Angelopoulos et al.
    2021, section 2). 1 without losses. Raises ValueError for losses outside of 0..1."""
    values = _checked(losses)
    n = len(values)
    if n == 0:
        return 1.0
    total = float(values.sum())
    bentkus = math.e * at_most(min(n, math.ceil(total)), n, alpha)
    return min(1.0, math.exp(-n * _divergence(min(total / n, alpha), alpha)), bentkus)


def betting(losses: ArrayLike, alpha: float, delta: float) -> float:
    """The p-value of a gambler who bets, row by row, that losses are under `alpha` (Waudby-Smith and Ramdas 2024): one over the most that
    he ever had of a start of 1, by Ville's inequality.

    Args:
        losses: (n,) in an order that says nothing of them; a gambler's winnings depend on it.
        delta: the level that the stakes are set for; the p-value holds at every level.

    1 without losses. Raises ValueError for losses outside of 0..1.
    """
    values = _checked(losses)
    n = len(values)
    if n == 0:
        return 1.0
    seen = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(values)) / (1 + seen)
    spread = (0.25 + np.cumsum((values - mean) ** 2)) / (1 + seen)
    # The stake on a row comes from the rows before it.
    before = np.concatenate([[0.25], spread[:-1]])
    stake = np.minimum(np.sqrt(2 * math.log(1 / delta) / (n * before)), _MOST_STAKE / (1 - alpha))
    most = float(np.cumsum(np.log1p(-stake * (values - alpha))).max())
    return min(1.0, math.exp(-most))


def upper_bound(p_value: Callable[[float], float], low: float, delta: float) -> float:
    """The smallest mean, from `low` on, that a p-value which falls in it rejects at `delta`; 1 where it rejects none."""
    high = 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if middle >= 1 or p_value(middle) > delta else (low, middle)
    return high


def _divergence(share: float, other: float) -> float:
    """KL divergence of two coins."""
    first = share * math.log(share / other) if share > 0 else 0.0
    return first + (1 - share) * math.log((1 - share) / (1 - other))


def _checked(losses: ArrayLike) -> Floats:
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 1 or (len(values) and not (values.min() >= 0 and values.max() <= 1)):
        raise ValueError("losses are a vector of values in 0..1")
    return values
