"""A circuit breaker: an upstream that fails again and again is left alone for a while, then asked once to see whether it is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Circuit(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    PROBING = "half-open"
    OPEN = "open"


@dataclass(frozen=True, slots=True, eq=False)
class Try:
    """A request that was let through, and in which of the breaker's turns: each success and each opening begins another."""

    turn: int


class Breaker:
    """Opens after so many failures in a row; so many seconds later one request may try. Used from one event loop.

    What fails says something of the upstream as it was when the request was sent. Where that was before the upstream last answered, or
    before it was last left alone, it says nothing of now: it neither opens the breaker nor keeps it open.

    Args:
        failures: in a row, until it opens.
        seconds: that it stays open.
        clock: monotonic seconds.
    """

    def __init__(self, failures: int = 5, seconds: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = failures, seconds, clock
        self._failed = self._turn = 0
        self._opened: float | None = None
        self._probe: Try | None = None

    @property
    def state(self) -> Circuit:
        """How it stands now."""
        if self._opened is None:
            return Circuit.CLOSED
        return Circuit.PROBING if self._probe is not None or self.seconds_left <= 0 else Circuit.OPEN

    @property
    def seconds_left(self) -> float:
        """Until a request may try; 0 where one may now, or is trying."""
        return 0.0 if self._opened is None else max(0.0, self._opened + self._seconds - self._clock())

    def allows(self) -> Try | None:
        """A request may be sent, where it is given; None where none may. It must be told of: `succeeded`, `failed` or `left`."""
        if self._opened is None:
            return Try(self._turn)
        if self._probe is not None or self.seconds_left > 0:
            return None
        self._probe = Try(self._turn)
        return self._probe

    def succeeded(self) -> None:
        """The upstream answered: it is there, whatever it said, and whenever it was asked."""
        self._turn += 1
        self._failed, self._opened, self._probe = 0, None, None

    def failed(self, tried: Try) -> None:
        """The upstream did not answer this request, or not as one that works."""
        if tried.turn != self._turn:
            return
        self._failed += 1
        if tried is self._probe or self._failed >= self._most:
            self._turn += 1
            self._opened, self._probe = self._clock(), None

    def left(self, tried: Try) -> None:
        """Nobody waited for what would have come of this request."""
        if tried is self._probe:
            self._probe = None
