"""Exact tests and bounds of a risk, valid at every n: of a share of errors (Clopper and Pearson 1934), and of a mean loss in 0..1.

A mean loss is tested by betting, which adapts to the variance of the losses: Hoeffding's and Bentkus's bounds assume the largest possible
variance. Binomial tails use logarithms of factorials, so scipy is not needed.

Two models on the same rows: for right or wrong answers, the exact sign test on the rows where the two differ (McNemar 1947, one-sided); for
grades, and for "not worse by more than a margin", betting on the mean difference. A t-test does not keep its level if most differences are
0 and a few are large.

Repeated looks: a test that is repeated whenever there are a few more rows passes sooner or later, whatever is true. The k-th look at the
level δ / (k (k + 1)) keeps all looks together at δ, because these add up to 1 (Bonferroni over an endless series). This is a union bound,
so rows may be looked at again, and added to.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.intervals import Floats

_HALVINGS = 60  # of an interval of width 1: below the spacing of doubles


def binomial_p_value(errors: int, n: int, share: float) -> float:
    """Return P(X <= errors) for X ~ Binomial(n, share): the p-value of "the share of errors is `share` or more". 1 without rows.

    Raises ValueError for impossible counts or shares.
    """
    if n < 0 or not 0 <= errors <= n:
        raise ValueError(f"{errors} errors of {n} rows are impossible")
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
    """Return the one-sided upper bound of the share of errors at confidence 1 - delta; 1 without rows."""
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
    """Return the one-sided lower bound of a share of successes at confidence 1 - delta; 0 without rows."""
    return 1.0 - binomial_upper_bound(n - successes, n, delta)


def fewest_rows(alpha: float, delta: float) -> int:
    """Return the fewest rows that can show a share of errors of at most `alpha` with confidence 1 - delta, if none has an error."""
    _check_share(alpha)
    _check_share(delta)
    return max(1, math.ceil(math.log(delta) / math.log1p(-alpha) - 1e-9))


def most_errors(n: int, alpha: float, delta: float) -> int:
    """Return the most errors of n rows that still show a share of at most `alpha` with confidence 1 - delta; -1 if not even 0 do."""
    _check_share(alpha)
    _check_share(delta)
    # Half of the binomial distribution lies below its mean, within a row, and delta is at most a half in practice.
    reach = min(n, math.ceil(n * alpha) + 1)
    below = np.cumsum(np.exp(_log_chances(reach, n, alpha)))
    return int(np.searchsorted(below, delta, side="right")) - 1


def _log_chances(errors: int, n: int, share: float) -> Floats:
    """Return log P(X = k) for k from 0 on, (errors + 1,)."""
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
        raise ValueError(f"the value must lie between 0 and 1, not {share}")


_MOST_STAKE = 0.9  # of the stake at which a single loss of 1 takes everything
_MEAN_HALVINGS = 24  # to the seventh digit


def betting_p_value(losses: ArrayLike, alpha: float, delta: float) -> float:
    """Return the p-value of a gambler who bets, row by row, that losses are below `alpha` (Waudby-Smith and Ramdas 2024).

    It is one over the gambler's largest wealth, from a start of 1, by Ville's inequality. 1 without losses.

    Args:
        losses: (n,) in an order that does not depend on them; the result depends on the order.
        delta: the level for which the stakes are optimised. The p-value is valid at every level.

    Raises ValueError for losses outside of 0..1.
    """
    values = _checked_losses(losses)
    n = len(values)
    if n == 0:
        return 1.0
    seen = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(values)) / (1 + seen)
    spread = (0.25 + np.cumsum((values - mean) ** 2)) / (1 + seen)
    # The stake on a row depends only on the rows before it.
    before = np.concatenate([[0.25], spread[:-1]])
    stake = np.minimum(np.sqrt(2 * math.log(1 / delta) / (n * before)), _MOST_STAKE / (1 - alpha))
    most = float(np.cumsum(np.log1p(-stake * (values - alpha))).max())
    return min(1.0, math.exp(-most))


def upper_bound_by_p_value(p_value: Callable[[float], float], low: float, delta: float) -> float:
    """Return the smallest mean, from `low` on, that is rejected at `delta`; 1 if none is. The p-value must fall with the mean."""
    high = 1.0
    for _ in range(_MEAN_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if middle >= 1 or p_value(middle) > delta else (low, middle)
    return high


def _checked_losses(losses: ArrayLike) -> Floats:
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 1 or (len(values) and not (values.min() >= 0 and values.max() <= 1)):
        raise ValueError("losses are a vector of values in 0..1")
    return values


def sign_test(gained: int, lost: int) -> float:
    """Return the p-value of "the challenger is not better".

    It is the chance of at least `gained` heads when a coin is tossed for each row where the two differ.

    Args:
        gained, lost: rows that only the challenger, and only the champion, has right.
    """
    return binomial_p_value(lost, gained + lost, 0.5) if gained + lost else 1.0


def better_p_value(change: Floats, level: float) -> float:
    """Return the p-value of "the challenger is not better".

    Args:
        change: (n,) the challenger's grade minus the champion's, each in -1..1, in an order that does not depend on them.
        level: the level for which the stakes are optimised. The p-value is valid at every level.

    If all changes are whole (right and wrong), it is the sign test's. 1 without rows. Raises ValueError for changes outside of -1..1.
    """
    _check_changes(change)
    gained, lost = int((change == 1).sum()), int((change == -1).sum())
    if gained + lost + int((change == 0).sum()) == len(change):
        return sign_test(gained, lost)
    return not_worse_p_value(change, 0.0, level)


def not_worse_p_value(change: Floats, margin: float, level: float) -> float:
    """Return the p-value of "the challenger is worse by `margin` or more, on average".

    Args:
        change: as for `better_p_value`.
        margin: 0..1.

    1 without rows.
    """
    _check_changes(change)
    if not (math.isfinite(margin) and 0 <= margin <= 1):
        raise ValueError(f"a margin lies in 0..1, not {margin}")
    # Map changes to losses: a whole gain is 0, no change a half, a whole loss 1. The margin lies above the half.
    threshold = (1 + margin) / 2
    return betting_p_value((1 - change) / 2, threshold, level) if threshold < 1 else 1.0


def _check_changes(change: Floats) -> None:
    if change.ndim != 1 or (len(change) and not (change.min() >= -1 and change.max() <= 1)):
        raise ValueError("changes are a vector of values in -1..1")


_RARE = 0.1


def level_of_look(level: float, look: int) -> float:
    """Return the part of a level that the `look`-th look may spend, counted from 1: half, a sixth, a twelfth, ...

    Raises ValueError for a look below 1.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return level / (look * (look + 1))


def average_and_level(most: float, look: int) -> tuple[float, float]:
    """Return the bound and the level by which a bound on an average holds over all looks.

    The averaged quantity lies in 0..1. Each look tests that it is at most 0.9 · `most`. All looks together share a failure chance of 0.1 ·
    `most`. So at whichever look one stops, the average is at most 0.9 · `most` + 0.1 · `most` · 1.
    """
    return (1 - _RARE) * most, level_of_look(_RARE * most, look)


def slow_level_of_look(level: float, look: int) -> float:
    """Return a part of the level that falls slowly, for hundreds of looks: 1 / log2(k + 1) - 1 / log2(k + 2) at look k.

    The parts add up to 1, because the sum telescopes. They fall hardly faster than 1 / k: 0.37 of the level at the first look, 0.010 at the
    tenth, 0.00032 at the hundredth, where `level_of_look` leaves 0.0001. Raises ValueError for a look below 1.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return level * (1 / math.log2(look + 1) - 1 / math.log2(look + 2))
