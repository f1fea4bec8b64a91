"""Exact tests of a share of errors: how likely so few errors are, and how large the share may still be (Clopper and Pearson 1934).

Everything here holds at every n, with no normal curve in between. Written out over logarithms of factorials, so that it needs numpy alone
and serves where scipy is not installed.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from smidgen.stats.intervals import Floats

_HALVINGS = 60  # of an interval of width 1: below the spacing of doubles


def at_most(errors: int, n: int, share: float) -> float:
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


def upper_bound(errors: int, n: int, delta: float) -> float:
    """What the share of errors is under with confidence 1 - delta, one-sided; 1 without rows."""
    _check(delta)
    if n == 0 or errors == n:
        return 1.0
    if errors == 0:
        return -math.expm1(math.log(delta) / n)
    low, high = errors / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(errors, n, middle) > delta else (low, middle)
    return high


def lower_bound(successes: int, n: int, delta: float) -> float:
    """What a share is over with confidence 1 - delta, one-sided; 0 without rows."""
    return 1.0 - upper_bound(n - successes, n, delta)


def least(alpha: float, delta: float) -> int:
    """The fewest rows that can show a share of errors of at most `alpha` with confidence 1 - delta: so many without an error."""
    _check(alpha)
    _check(delta)
    return max(1, math.ceil(math.log(delta) / math.log1p(-alpha) - 1e-9))


def most_errors(n: int, alpha: float, delta: float) -> int:
    """The most errors of n rows that still show a share of at most `alpha` with confidence 1 - delta; -1 where not even none does."""
    _check(alpha)
    _check(delta)
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


def _check(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"it must lie between 0 and 1, not {share}")
