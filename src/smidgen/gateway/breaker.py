"""Circuit breakers: an upstream that fails again and again is left alone for a while, then asked once to see whether it is back.

What fails may be the upstream, or one client's requests. So each client and model has a breaker of its own, and the one that shuts out
everybody opens only where the upstream cannot be reached, or where it fails for several clients and for most of those who ask.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

_MOST_ASKERS = 1024
"""Clients and models whose breakers are kept: those that asked last."""
_LATELY_SECONDS = 60.0


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

    def open(self) -> None:
        """Leave the upstream alone, whatever this breaker has counted itself."""
        self._turn += 1
        self._opened, self._probe = self._clock(), None

    def left(self, tried: Try) -> None:
        """Nobody waited for what would have come of this request."""
        if tried is self._probe:
            self._probe = None


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for what.

    Attributes:
        client: stands for the client's key; empty for one without.
        model: the name of the model.
    """

    client: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A request that was let through by the breaker of all, and by its asker's own."""

    all: Try
    own: Try
    breaker: Breaker


@dataclass(slots=True)
class _Seen:
    """The breaker of an asker, and when it last asked."""

    breaker: Breaker
    at: float = 0.0


class Breakers:
    """Those of one upstream. A request counts once, when all its tries are over.

    The breaker of all opens by requests that did not reach the upstream, and where it fails for two clients at least, and for half
    of those who asked in the last minute.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.all = Breaker(clock=clock)
        self._clock = clock
        self._seen: OrderedDict[Requester, _Seen] = OrderedDict()

    def allows(self, asker: Requester) -> Allowed | None:
        """A request may be sent, where it is given; None where none may. It must be told of: `succeeded`, `failed` or `left`."""
        own = self._own(asker)
        if self.all.state is Circuit.OPEN or own.state is Circuit.OPEN:
            return None
        mine = own.allows()
        if mine is None:
            return None
        everyones = self.all.allows()
        if everyones is None:
            own.left(mine)
            return None
        return Allowed(everyones, mine, own)

    def seconds_left(self, asker: Requester) -> float:
        """Until a request of this asker may try."""
        return max(self.all.seconds_left, self._own(asker).seconds_left)

    def succeeded(self, allowed: Allowed) -> None:
        """The upstream answered."""
        self.all.succeeded()
        allowed.breaker.succeeded()

    def failed(self, allowed: Allowed, reached: bool) -> None:
        """The request failed, at its last try. `reached`: the upstream was there, so that the request may be why."""
        allowed.breaker.failed(allowed.own)
        if not reached:
            self.all.failed(allowed.all)
            return
        self.all.left(allowed.all)
        if allowed.breaker.state is Circuit.OPEN and self.all.state is not Circuit.OPEN and self._is_everyone():
            self.all.open()

    def left(self, allowed: Allowed) -> None:
        """Nobody waited for what would have come of this request."""
        self.all.left(allowed.all)
        allowed.breaker.left(allowed.own)

    def _own(self, asker: Requester) -> Breaker:
        seen = self._seen.get(asker)
        if seen is None:
            seen = self._seen[asker] = _Seen(Breaker(clock=self._clock))
            if len(self._seen) > _MOST_ASKERS:
                self._seen.popitem(last=False)
        seen.at = self._clock()
        self._seen.move_to_end(asker)
        return seen.breaker

    def _is_everyone(self) -> bool:
        """Whether the upstream fails for several clients, and for half of those who asked of late: each with half of its models."""
        since = self._clock() - _LATELY_SECONDS
        models: dict[str, list[bool]] = {}
        for asker, seen in self._seen.items():
            if seen.at >= since:
                models.setdefault(asker.client, []).append(seen.breaker.state is Circuit.OPEN)
        failing = sum(2 * sum(open) >= len(open) for open in models.values())
        return failing > 1 and 2 * failing >= len(models)
