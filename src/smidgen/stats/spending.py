"""Looking again: how a level is shared out among looks at rows that stay, of which nobody knows how many there will be.

A test that is repeated whenever a few more rows are there, until it passes, passes sooner or later whatever is true: each look at the level
δ is one more chance of δ. The k-th look at the level δ / (k (k + 1)) keeps all of them together at δ, for they add up to 1 (Bonferroni over
a series without end). Being a union bound it needs no independence: rows may be looked at again, and added to. Nothing is asked of how many
looks there will be, or when; it is paid for by a stricter test each time.
"""

from __future__ import annotations


def share(level: float, look: int) -> float:
    """What of a level the `look`-th look may spend, counted from 1: half, a sixth, a twelfth, ... Raises ValueError for a look before the
    first."""
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return level / (look * (look + 1))
