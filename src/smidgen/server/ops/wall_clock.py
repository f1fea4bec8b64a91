"""The wall clock, compared with a steady clock: was it set ahead while this process ran?"""

from __future__ import annotations

import time
from collections.abc import Callable

TRUSTED_SECONDS = 3600.0
"""Largest jump of the clock, in seconds, before it is distrusted for deleting data."""


class WallClock:
    """Remembers both clocks at the start.

    Args:
        wall: seconds since 1970.
        steady: seconds since some moment, including sleep of the machine if the system counts it.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] | None = None) -> None:
        self._wall, self._steady = wall, steady or since_boot
        self._started = self._steady()
        self._began = self._wall() - self._started

    def ahead(self) -> float:
        """Return by how many seconds the clock was set ahead since the start; negative if it was set back."""
        return self._wall() - self._steady() - self._began

    def believed(self) -> bool:
        """Return True if the date is reliable enough to delete data.

        The process must have run for an hour, and the clock must be within an hour of its course since the start. A machine that starts
        with a wrong time is mostly corrected in the first minutes, and the jump is then visible.
        """
        return self._steady() - self._started >= TRUSTED_SECONDS and abs(self.ahead()) <= TRUSTED_SECONDS


def since_boot() -> float:
    """Return seconds since the machine started, including sleep. If the system does not count sleep, sleep looks like a clock set ahead."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
