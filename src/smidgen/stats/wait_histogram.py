"""Times as counts in fixed buckets that grow by the same factor: histograms of any two days, or servers, are added by adding counts.

A bucket's bound is 2^(1/8) times the one before it. A quantile is told as the geometric middle of the bucket that it lies in, and so is off
by a factor of 2^(1/16) at most, whatever the times are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

ERROR = 2 ** (1 / 16) - 1
"""The most that a quantile is off, as a share of it: 4.4 %. Of times between `FIRST` and `LAST`."""

FIRST = 1e-4
"""Seconds: what is quicker is in bucket 0, and told as this."""

LAST = 7200.0
"""Seconds: what takes longer is in the last bucket."""

_PER_DOUBLING = 8
_MOST = math.ceil(_PER_DOUBLING * math.log2(LAST / FIRST))


def bucket(seconds: float) -> int:
    """The number of the bucket that a time lies in: 0 up to 0.1 ms, then 8 for each doubling."""
    if seconds <= FIRST:
        return 0
    return min(_MOST, math.ceil(_PER_DOUBLING * math.log2(seconds / FIRST)))


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The time, in seconds, that this share (0..1) of all times does not exceed, by the nearest rank; None where there is no time.

    Args:
        counts: how many times lie in each bucket.
        share: 0.5 for the median.
    """
    total = sum(counts.values())
    if not total:
        return None
    wanted, seen = max(1, math.ceil(share * total)), 0
    for number in sorted(counts):
        seen += counts[number]
        if seen >= wanted:
            return _middle(number)
    return None


def _middle(number: int) -> float:
    """The geometric middle of a bucket; of bucket 0, which has none, its bound."""
    return float(FIRST * 2 ** ((number - 0.5) / _PER_DOUBLING)) if number > 0 else FIRST
