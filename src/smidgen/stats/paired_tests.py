"""One-sided tests of whether a challenger is better than the champion, or at least not worse, on the same rows.

Right and wrong answers: the exact sign test on the rows where the two differ, which is McNemar's one-sided (McNemar 1947). Grades in
0..1, and the question of "not worse by more than a margin": betting on the mean difference (`stats/risk_bounds.py`), which asks nothing
of how the differences are spread; a t-test's level does not hold where most differences are 0 and a few are large. The level holds at
every n.
"""

from __future__ import annotations

import math

from smidgen.stats.intervals import Floats
from smidgen.stats.risk_bounds import betting_p_value, binomial_p_value


def sign_test(gained: int, lost: int) -> float:
    """The p-value of "the challenger is not better": how likely so many of the rows where the two differ are gains by tossing a coin.

    Args:
        gained, lost: rows that only the challenger, and only the champion, has right.
    """
    return binomial_p_value(lost, gained + lost, 0.5) if gained + lost else 1.0


def better_p_value(change: Floats, level: float) -> float:
    """The p-value of "the challenger is not better".

    Args:
        change: (n,) the challenger's grade less the champion's, each in -1..1, in an order that says nothing of them.
        level: that the stakes are set for; the p-value holds at every level.

    Where all changes are whole (right and wrong), it is the sign test's. 1 without rows. Raises ValueError for changes outside of -1..1.
    """
    _check(change)
    gained, lost = int((change == 1).sum()), int((change == -1).sum())
    if gained + lost + int((change == 0).sum()) == len(change):
        return sign_test(gained, lost)
    return not_worse_p_value(change, 0.0, level)


def not_worse_p_value(change: Floats, margin: float, level: float) -> float:
    """The p-value of "the challenger is worse by `margin` or more, in the mean": small where it is surely no worse than that.

    Args:
        change: as of `better`.
        margin: 0..1.

    1 without rows.
    """
    _check(change)
    if not (math.isfinite(margin) and 0 <= margin <= 1):
        raise ValueError(f"a margin lies in 0..1, not {margin}")
    # A loss of 0 is a whole gain, of 1 a whole loss; no change is one half, and the margin lies over that.
    threshold = (1 + margin) / 2
    return betting_p_value((1 - change) / 2, threshold, level) if threshold < 1 else 1.0


def _check(change: Floats) -> None:
    if change.ndim != 1 or (len(change) and not (change.min() >= -1 and change.max() <= 1)):
        raise ValueError("changes are a vector of values in -1..1")
