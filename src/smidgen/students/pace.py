"""How many steps fit into a time: estimated before the first, and anew while they are taken, for machines get busier and later steps may
cost more than the first."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

_WINDOW = 20
"""Steps whose mean is taken for those to come; what is done between steps counts."""


class Pace:
    """Steps that fit into `seconds` from now on, `most` at most. `clock` gives seconds."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ends, self._most, self._clock = clock() + seconds, most, clock
        self._at = clock()
        self._took: deque[float] = deque(maxlen=_WINDOW)

    def stretch(self, factor: float) -> None:
        """Allow so many times as many steps: each is so much smaller."""
        self._most = math.ceil(self._most * factor)

    def before(self, seconds_a_step: float) -> int:
        """The steps that fit, by what one takes; none is taken yet. One at least."""
        self._at = self._clock()
        return self._bounded((self._ends - self._at) / seconds_a_step)

    def after(self, step: int) -> int:
        """The steps that fit in all, after so many were taken. No less than those."""
        now = self._clock()
        self._took.append(now - self._at)
        self._at = now
        mean = sum(self._took) / len(self._took)
        return max(step, self._bounded(step + max(0.0, self._ends - now) / max(mean, 1e-9)))

    def _bounded(self, steps: float) -> int:
        return max(1, min(self._most, math.floor(steps)))
