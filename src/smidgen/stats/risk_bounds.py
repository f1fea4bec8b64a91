"""Exact tests and bounds of a risk: of a share of errors, and of a mean loss in 0..1. They hold at every n."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.intervals import Floats

# Exact tests of a share of errors: how likely so few errors are, and how large the share may still be (Clopper and Pearson 1934).
#
# Everything here holds at every n, with no normal curve in between. Written out over logarithms of factorials, so that it needs numpy
# alone and serves where scipy is not installed.

_HALVINGS = 60  # of an interval of width 1: below the spacing of doubles


def binomial_p_value(errors: int, n: int, share: float) -> float:
    """P(X <= errors) for X ~ Binomial(n, share): the p-value of "the share of errors is `share` or more". 1 without rows.

    Raises ValueError where the counts or the share cannot be.
    """
    if n < 0 or not 0 <= errors <= n:
        raise ValueError(f"{errors} errors of {n} rows cannot be")
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, not {share}")
    if errors == n or share == 0:
        return 1.0
    if share == 1:
        return 0.0
    logs = _log_chances(errors, n, share)
    top = float(logs.max())
    return min(1.0, math.exp(top) * float(np.exp(logs - top).sum()))


def binomial_upper_bound(errors: int, n: int, delta: float) -> float:
    """What the share of errors is under with confidence 1 - delta, one-sided; 1 without rows."""
    _check_share(delta)
    if n == 0 or errors == n:
        return 1.0
    if errors == 0:
        return -math.expm1(math.log(delta) / n)
    low, high = errors / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_p_value(errors, n, middle) > delta else (low, middle)
    return high


def binomial_lower_bound(successes: int, n: int, delta: float) -> float:
    """What a share is over with confidence 1 - delta, one-sided; 0 without rows."""
    return 1.0 - binomial_upper_bound(n - successes, n, delta)


def fewest_rows(alpha: float, delta: float) -> int:
    """The fewest rows that can show a share of errors of at most `alpha` with confidence 1 - delta: so many without an error."""
    _check_share(alpha)
    _check_share(delta)
    return max(1, math.ceil(math.log(delta) / math.log1p(-alpha) - 1e-9))


def most_errors(n: int, alpha: float, delta: float) -> int:
    """The most errors of n rows that still show a share of at most `alpha` with confidence 1 - delta; -1 where not even none does."""
    _check_share(alpha)
    _check_share(delta)
    # Half of the binomial law lies below its mean, give or take a row; a delta of more than that is asked for by no one.
    reach = min(n, math.ceil(n * alpha) + 1)
    below = np.cumsum(np.exp(_log_chances(reach, n, alpha)))
    return int(np.searchsorted(below, delta, side="right")) - 1


def _log_chances(errors: int, n: int, share: float) -> Floats:
    """(errors + 1,) log P(X = k) for k from 0 on."""
    logs = _log_factorials(1 << (n + 1).bit_length())
    k = np.arange(errors + 1)
    chances: Floats = logs[n] - logs[k] - logs[n - k] + k * math.log(share) + (n - k) * math.log1p(-share)
    return chances


@functools.lru_cache(maxsize=24)
def _log_factorials(size: int) -> Floats:
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size, dtype=np.float64)))])
    logs.setflags(write=False)
    return logs


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"it must lie between 0 and 1, not {share}")


# Tests of a mean loss in 0..1, for answers that are better or worse: Hoeffding–Bentkus, and betting.
#
# Both give a p-value of "the mean loss is `alpha` or more" that holds at every n, for any distribution of losses in 0..1. Betting is
# the one to take where losses vary little: it learns their spread, which Hoeffding and Bentkus take to be as large as it can be.

_MOST_STAKE = 0.9  # of what a single loss of 1 would take all of
_MEAN_HALVINGS = 24  # to the seventh digit


def hoeffding_bentkus_p_value(losses: ArrayLike, alpha: float) -> float:
    """The p-value of Hoeffding's bound in its tight form and Bentkus' one, whichever is smaller (Bates et al. 2021; Angelopoulos et al.
    2021, section 2). 1 without losses. Raises ValueError for losses outside of 0..1."""
    values = _checked_losses(losses)
    n = len(values)
    if n == 0:
        return 1.0
    total = float(values.sum())
    bentkus = math.e * binomial_p_value(min(n, math.ceil(total)), n, alpha)
    return min(1.0, math.exp(-n * _divergence(min(total / n, alpha), alpha)), bentkus)


def betting_p_value(losses: ArrayLike, alpha: float, delta: float) -> float:
    """The p-value of a gambler who bets, row by row, that losses are under `alpha` (Waudby-Smith and Ramdas 2024): one over the most that
    he ever had of a start of 1, by Ville's inequality.

    Args:
        losses: (n,) in an order that says nothing of them; a gambler's winnings depend on it.
        delta: the level that the stakes are set for; the p-value holds at every level.

    1 without losses. Raises ValueError for losses outside of 0..1.
    """
    values = _checked_losses(losses)
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


def upper_bound_by_p_value(p_value: Callable[[float], float], low: float, delta: float) -> float:
    """The smallest mean, from `low` on, that a p-value which falls in it rejects at `delta`; 1 where it rejects none."""
    high = 1.0
    for _ in range(_MEAN_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if middle >= 1 or p_value(middle) > delta else (low, middle)
    return high


def _divergence(share: float, other: float) -> float:
    """KL divergence of two coins."""
    first = share * math.log(share / other) if share > 0 else 0.0
    return first + (1 - share) * math.log((1 - share) / (1 - other))


def _checked_losses(losses: ArrayLike) -> Floats:
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 1 or (len(values) and not (values.min() >= 0 and values.max() <= 1)):
        raise ValueError("losses are a vector of values in 0..1")
    return values
