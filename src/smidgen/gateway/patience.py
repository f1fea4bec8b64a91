"""How long, and how often, a failing upstream is asked again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

PASSING = frozenset({408, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses that may pass."""
UNTAKEN = frozenset({429, 503})
"""Of those, the ones that say that nothing was done: what they answer can be sent again whatever it would do."""
TAKEN = frozenset({504, 520, 524})
"""Of those, the ones of a server in between that did not wait for the end: the work may have been done, and be billed."""

UNPAID = 402
"""Says that the account is out of credit."""
UNKEYED = frozenset({401, 403})
"""Say that a key is not taken: whoever has another may be asked."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Tries and waits. Waits double, by chance more or less, so that not all come back at once.

    Attributes:
        tries: at one upstream, the first included.
        first: seconds before the second try.
        longest: most seconds that doubling comes to.
        total: most seconds that one request waits between tries, at all upstreams together.
        chance: where the more or less comes from.
    """

    tries: int = 3
    first: float = 0.5
    longest: float = 8.0
    total: float = 20.0
    chance: random.Random = field(default_factory=random.Random, compare=False, repr=False)

    def wait(self, tried: int, after: float | None, spent: float) -> float | None:
        """Seconds until the next try at an upstream; None where there is none.

        Args:
            tried: tries at this upstream so far.
            after: what its `Retry-After` asks for, in seconds. One that asks for more than there is left is not asked again.
            spent: seconds that this request has waited so far.
        """
        if tried >= self.tries:
            return None
        doubled = min(self.longest, self.first * 2.0 ** (tried - 1)) * self.chance.uniform(0.5, 1.0)
        wait = doubled if after is None else max(after, doubled)
        return wait if spent + wait <= self.total else None
