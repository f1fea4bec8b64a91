"""Looking again: how a level is shared out among looks at rows that stay, of which nobody knows how many there will be.

A test that is repeated whenever a few more rows are there, until it passes, passes sooner or later whatever is true: each look at the level
δ is one more chance of δ. The k-th look at the level δ / (k (k + 1)) keeps all of them together at δ, for they add up to 1 (Bonferroni over
a series without end). Being a union bound it needs no independence: rows may be looked at again, and added to. Nothing is asked of how many
looks there will be, or when; it is paid for by a stricter test each time.
"""

from __future__ import annotations

import math


def share(level: float, look: int) -> float:
    """What of a level the `look`-th look may spend, counted from 1: half, a sixth, a twelfth, ... Raises ValueError for a look before the
    first."""
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return level / (look * (look + 1))


def slow_share(level: float, look: int) -> float:
    """The same for who looks often, and must still see something at the hundredth look: 1 / log2(k + 1) - 1 / log2(k + 2) of the level.

    These add up to 1, too, for each takes away what the one before left; they fall hardly faster than 1 / k: 0.37 of the level at the first
    look, 0.010 at the tenth, 0.00032 at the hundredth, where `share` leaves 0.0001. Raises ValueError for a look before the first.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return level * (1 / math.log2(look + 1) - 1 / math.log2(look + 2))
