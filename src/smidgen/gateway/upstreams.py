"""An upstream: its base URL, the policy of retries, and the circuit breakers that stop requests to a failing one for a while.

Each client and model has its own breaker, because one client's requests may cause the failures. The breaker of all opens only if the
upstream cannot be reached, or if it fails for several clients and for most of those who ask.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from smidgen.core.errors import InputError

_LOCAL = ("localhost", "127.0.0.1", "::1")


def checked_url(url: str) -> str:
    """The base URL without a slash at its end. Raises InputError if it is not plain http or https; the error never repeats a secret."""
    if any(not 32 < ord(sign) < 127 for sign in url):
        raise InputError("gateway.fallback_url_has_invalid_characters", url=len(url))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError("gateway.fallback_url_is_invalid", value=url.rpartition("@")[2][:100]) from None
    if parts.username is not None or parts.password is not None:
        raise InputError("gateway.fallback_url_has_user_or_password_in_it", value=host or "")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise InputError("gateway.fallback_url_is_not_http", value=url[:100])
    if parts.query or parts.fragment:
        raise InputError("gateway.fallback_url_has_query_or_fragment", value=f"{parts.scheme}://{parts.netloc}{parts.path}")
    return url.rstrip("/")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a checked URL."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def is_local(url: str) -> bool:
    """Whether a URL is of this machine; then no proxy is used."""
    return (urlsplit(url).hostname or "") in _LOCAL


PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses of failures that may be temporary."""
UNTAKEN_STATUSES = frozenset({429, 503})
"""Passing statuses after which nothing was done: any request may be sent again."""
TAKEN_STATUSES = frozenset({504, 520, 524})
"""Passing statuses of a server in between that gave up waiting: the work may have been done, and be billed."""

UNPAID_STATUS = 402
"""The status of an account that is out of credit."""
UNKEYED_STATUSES = frozenset({401, 403})
"""Statuses of a refused key: an upstream with another key may be asked."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which waits a failing upstream is asked again. Waits double, with jitter so that not all clients come back at
    once.

    Attributes:
        tries: at one upstream, the first included.
        first: seconds before the second try.
        longest: most seconds of one doubled wait.
        total: most seconds that one request waits between tries, at all upstreams together.
        chance: the source of the jitter.
    """

    tries: int = 3
    first: float = 0.5
    longest: float = 8.0
    total: float = 20.0
    chance: random.Random = field(default_factory=random.Random, compare=False, repr=False)

    def wait(self, tried: int, after: float | None, spent: float) -> float | None:
        """Seconds until the next try at an upstream; None if there is none.

        Args:
            tried: tries at this upstream so far.
            after: seconds of its `Retry-After`. If it exceeds the time left, the upstream is not asked again.
            spent: seconds that this request has waited so far.
        """
        if tried >= self.tries:
            return None
        doubled = min(self.longest, self.first * 2.0 ** (tried - 1)) * self.chance.uniform(0.5, 1.0)
        wait = doubled if after is None else max(after, doubled)
        return wait if spent + wait <= self.total else None


_MOST_ASKERS = 1024
"""Clients and models whose breakers are kept: the latest."""
_LATELY_SECONDS = 60.0


class BreakerState(StrEnum):
    """The state of a breaker."""

    CLOSED = "closed"
    PROBING = "half-open"
    OPEN = "open"


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """A request that a breaker let through, with the breaker's turn at that time: each success and each opening begins a new turn."""

    turn: int


class Breaker:
    """A circuit breaker: opens after several failures in a row; some seconds later one request may try. Used from one event loop.

    A failure counts only in the turn in which its request was sent. A request sent before the upstream's last answer, or before the breaker
    last opened, neither opens the breaker nor keeps it open.

    Args:
        failures: in a row, until it opens.
        seconds: that it stays open.
        clock: monotonic seconds.
    """

    def __init__(self, failures: int = 5, seconds: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = failures, seconds, clock
        self._failed = self._turn = 0
        self._opened: float | None = None
        self._probe: Attempt | None = None

    @property
    def state(self) -> BreakerState:
        """The state now."""
        if self._opened is None:
            return BreakerState.CLOSED
        return BreakerState.PROBING if self._probe is not None or self.seconds_left <= 0 else BreakerState.OPEN

    @property
    def seconds_left(self) -> float:
        """Seconds until a request may try; 0 if one may now, or is trying."""
        return 0.0 if self._opened is None else max(0.0, self._opened + self._seconds - self._clock())

    def allows(self) -> Attempt | None:
        """An attempt if a request may be sent, else None. Report its end by `succeeded`, `failed` or `left`."""
        if self._opened is None:
            return Attempt(self._turn)
        if self._probe is not None or self.seconds_left > 0:
            return None
        self._probe = Attempt(self._turn)
        return self._probe

    def succeeded(self) -> None:
        """Close the breaker: the upstream answered, with any answer, to a request of any age."""
        self._turn += 1
        self._failed, self._opened, self._probe = 0, None, None

    def failed(self, tried: Attempt) -> None:
        """Count a failure: the upstream did not answer this request, or answered with an error of its own."""
        if tried.turn != self._turn:
            return
        self._failed += 1
        if tried is self._probe or self._failed >= self._most:
            self._turn += 1
            self._opened, self._probe = self._clock(), None

    def open(self) -> None:
        """Open the breaker, regardless of its own count."""
        self._turn += 1
        self._opened, self._probe = self._clock(), None

    def left(self, tried: Attempt) -> None:
        """Drop an attempt whose result is unknown."""
        if tried is self._probe:
            self._probe = None


@dataclass(frozen=True, slots=True)
class Requester:
    """A client and the model that it asks for.

    Attributes:
        client: a name for the client's key; empty without one.
        model: the name of the model.
    """

    client: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class AllowedAttempt:
    """A request that was let through by the breaker of all and by its client's own."""

    all: Attempt
    own: Attempt
    breaker: Breaker


@dataclass(slots=True)
class _SeenRequester:
    """The breaker of a client and model, and when it was last used."""

    breaker: Breaker
    at: float = 0.0


class Breakers:
    """The breakers of one upstream. A request counts once, after its last try.

    The breaker of all opens by requests that did not reach the upstream, and if the upstream fails for at least two clients and for half
    of those who asked in the last minute.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.all = Breaker(clock=clock)
        self._clock = clock
        self._seen: OrderedDict[Requester, _SeenRequester] = OrderedDict()

    def allows(self, requester: Requester) -> AllowedAttempt | None:
        """An attempt if a request may be sent, else None. Report its end by `succeeded`, `failed` or `left`."""
        own = self._own(requester)
        if self.all.state is BreakerState.OPEN or own.state is BreakerState.OPEN:
            return None
        mine = own.allows()
        if mine is None:
            return None
        everyones = self.all.allows()
        if everyones is None:
            own.left(mine)
            return None
        return AllowedAttempt(everyones, mine, own)

    def seconds_left(self, requester: Requester) -> float:
        """Seconds until a request of this client for this model may try."""
        return max(self.all.seconds_left, self._own(requester).seconds_left)

    def succeeded(self, allowed: AllowedAttempt) -> None:
        """Close both breakers: the upstream answered."""
        self.all.succeeded()
        allowed.breaker.succeeded()

    def failed(self, allowed: AllowedAttempt, reached: bool) -> None:
        """Count a request that failed at its last try. `reached`: the upstream could be reached, so the request itself may be the cause."""
        allowed.breaker.failed(allowed.own)
        if not reached:
            self.all.failed(allowed.all)
            return
        self.all.left(allowed.all)
        if allowed.breaker.state is BreakerState.OPEN and self.all.state is not BreakerState.OPEN and self._is_everyone():
            self.all.open()

    def left(self, allowed: AllowedAttempt) -> None:
        """Drop an attempt whose result is unknown."""
        self.all.left(allowed.all)
        allowed.breaker.left(allowed.own)

    def _own(self, requester: Requester) -> Breaker:
        seen = self._seen.get(requester)
        if seen is None:
            seen = self._seen[requester] = _SeenRequester(Breaker(clock=self._clock))
            if len(self._seen) > _MOST_ASKERS:
                self._seen.popitem(last=False)
        seen.at = self._clock()
        self._seen.move_to_end(requester)
        return seen.breaker

    def _is_everyone(self) -> bool:
        """Whether the upstream fails for several clients, and for half of those of the last minute. A client counts if half of its
        models fail."""
        since = self._clock() - _LATELY_SECONDS
        models: dict[str, list[bool]] = {}
        for requester, seen in self._seen.items():
            if seen.at >= since:
                models.setdefault(requester.client, []).append(seen.breaker.state is BreakerState.OPEN)
        failing = sum(2 * sum(open) >= len(open) for open in models.values())
        return failing > 1 and 2 * failing >= len(models)
