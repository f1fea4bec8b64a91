"""A circuit breaker: an upstream that fails again and again is left alone for a while, then asked once to see whether it is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum


class Circuit(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    PROBING = "half-open"
    OPEN = "open"


class Breaker:
    """Opens after so many failures in a row; so many seconds later one request may try. Used from one event loop.

    Args:
        failures: in a row, until it opens.
        seconds: that it stays open.
        clock: monotonic seconds.
    """

    def __init__(self, failures: int = 5, seconds: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = failures, seconds, clock
        self._failed = 0
        self._opened: float | None = None
        self._probing = False

    @property
    def state(self) -> Circuit:
        """How it stands now."""
        if self._opened is None:
            return Circuit.CLOSED
        return Circuit.PROBING if self._probing or self.seconds_left <= 0 else Circuit.OPEN

    @property
    def seconds_left(self) -> float:
        """Until a request may try; 0 where one may now, or is trying."""
        return 0.0 if self._opened is None else max(0.0, self._opened + self._seconds - self._clock())

    def allows(self) -> bool:
        """Whether a request may be sent. One that may must be told of: `succeeded`, `failed` or `left`."""
        if self._opened is None:
            return True
        if self._probing or self.seconds_left > 0:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The upstream answered: it is there, whatever it said."""
        self._failed, self._opened, self._probing = 0, None, False

    def failed(self) -> None:
        """The upstream did not answer, or not as one that works."""
        self._failed += 1
        if self._probing or self._failed >= self._most:
            self._opened, self._probing = self._clock(), False

    def left(self) -> None:
        """Nobody waited for what would have come."""
        self._probing = False
