"""Looking again: how a level is shared out among looks at rows that stay, of which nobody knows how many there will be.

A test that is repeated whenever a few more rows are there, until it passes, passes sooner or later whatever is true: each look at the level
δ is one more chance of δ. The k-th look at the level δ / (k (k + 1)) keeps all of them together at δ, for they add up to 1 (Bonferroni over
a series without end). Being a union bound it needs no independence: rows may be looked at again, and added to. Nothing is asked of how many
looks there will be, or when; it is paid for by a stricter test each time.
"""

from __future__ import annotations

import math

_RARE = 0.1


def share(level: float, look: int) -> float:
    """What of a level the `look`-th look may spend, counted from 1: half, a sixth, a twelfth, ... Raises ValueError for a look before the
    first."""
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return level / (look * (look + 1))


def average_and_level(most: float, look: int) -> tuple[float, float]:
    """How a bound on an average over samples is kept at the `look`-th look: as a bound at every look but for a small chance.

    What is averaged lies in 0..1. Let it be at most nine tenths of `most` at all looks, but for a chance of a tenth of `most`, which all
    looks share. Then at whichever look one stops it is at most 0.9 · `most` + 0.1 · `most` · 1 on average. Returns the bound and the level.
    """
    return (1 - _RARE) * most, share(_RARE * most, look)


def slow_level_of_look(level: float, look: int) -> float:
    """The same for who looks often, and must still see something at the hundredth look: 1 / log2(k + 1) - 1 / log2(k + 2) of the level.

    These add up to 1, too, for each takes away what the one before left; they fall hardly faster than 1 / k: 0.37 of the level at the first
    look, 0.010 at the tenth, 0.00032 at the hundredth, where `share` leaves 0.0001. Raises ValueError for a look before the first.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return level * (1 / math.log2(look + 1) - 1 / math.log2(look + 2))
