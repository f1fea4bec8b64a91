"""The wall clock, compared with the monotonic one: whether it was set ahead while this process ran."""

from __future__ import annotations

import time
from collections.abc import Callable

TRUSTED_SECONDS = 3600.0
"""A clock that was set ahead by more is not believed where something would be lost for good."""


class WallClock:
    """Remembers both clocks as they stood at the start.

    Args:
        wall: seconds since 1970.
        steady: seconds since some moment, sleep of the machine included where the system counts it.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] | None = None) -> None:
        self._wall, self._steady = wall, steady or since_boot
        self._started = self._steady()
        self._began = self._wall() - self._started

    def ahead(self) -> float:
        """Seconds by which the clock was set ahead since the start; negative where it was set back."""
        return self._wall() - self._steady() - self._began

    def believed(self) -> bool:
        """Whether the clock may be trusted with a deletion. The process must have run for an hour, and the clock must not have been set by
        more than that since the start, ahead or back: a machine that starts with a wrong time is mostly corrected in the first minutes, and
        the correction shows here."""
        return self._steady() - self._started >= TRUSTED_SECONDS and abs(self.ahead()) <= TRUSTED_SECONDS


def since_boot() -> float:
    """Seconds since the machine started, those that it slept included; where the system does not count these, sleep looks like a clock that
    was set ahead."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
