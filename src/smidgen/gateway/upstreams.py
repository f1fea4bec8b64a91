"""An upstream: its base URL, how often a failing one is asked again, and the circuit breakers that leave it alone for a while.

Each client and model has a breaker of its own: what fails may be one client's requests. The breaker of all opens only where the upstream
cannot be reached, or where it fails for several clients and for most of those who ask.
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

# Where an upstream is: a base URL, checked once.

_LOCAL = ("localhost", "127.0.0.1", "::1")


def checked_url(url: str) -> str:
    """The base URL without a slash at its end. Raises InputError for one that is not plain http or https; it never repeats a secret."""
    todo = "Give the base URL that an OpenAI client would be given: https://api.example.com/v1."
    if any(not 32 < ord(sign) < 127 for sign in url):
        raise InputError("the fallback's URL holds a space or another sign that no URL has", value=f"{len(url)} characters", todo=todo)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError("the fallback's URL is none", value=url.rpartition("@")[2][:100], todo=todo) from None
    if parts.username is not None or parts.password is not None:
        secret = "Leave user and password out of the URL: a key belongs into the environment variable that --fallback-key-env names."
        raise InputError("the fallback's URL has a user or a password in it", value=host or "", todo=secret)
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise InputError("the fallback's URL is not one of http or https", value=url[:100], todo=todo)
    if parts.query or parts.fragment:
        raise InputError(
            "the fallback's URL has more than a path behind its host", value=f"{parts.scheme}://{parts.netloc}{parts.path}", todo=todo
        )
    return url.rstrip("/")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a checked URL: who gets what is sent there."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def is_local(url: str) -> bool:
    """Whether it is this machine, which no proxy is asked for."""
    return (urlsplit(url).hostname or "") in _LOCAL


# How long, and how often, a failing upstream is asked again.

PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses that may pass."""
UNTAKEN_STATUSES = frozenset({429, 503})
"""Of those, the ones that say that nothing was done: what they answer can be sent again whatever it would do."""
TAKEN_STATUSES = frozenset({504, 520, 524})
"""Of those, the ones of a server in between that did not wait for the end: the work may have been done, and be billed."""

UNPAID_STATUS = 402
"""Says that the account is out of credit."""
UNKEYED_STATUSES = frozenset({401, 403})
"""Say that a key is not taken: whoever has another may be asked."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
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


_MOST_ASKERS = 1024
"""Clients and models whose breakers are kept: those that asked last."""
_LATELY_SECONDS = 60.0


class BreakerState(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    PROBING = "half-open"
    OPEN = "open"


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
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
        self._probe: Attempt | None = None

    @property
    def state(self) -> BreakerState:
        """How it stands now."""
        if self._opened is None:
            return BreakerState.CLOSED
        return BreakerState.PROBING if self._probe is not None or self.seconds_left <= 0 else BreakerState.OPEN

    @property
    def seconds_left(self) -> float:
        """Until a request may try; 0 where one may now, or is trying."""
        return 0.0 if self._opened is None else max(0.0, self._opened + self._seconds - self._clock())

    def allows(self) -> Attempt | None:
        """A request may be sent, where it is given; None where none may. It must be told of: `succeeded`, `failed` or `left`."""
        if self._opened is None:
            return Attempt(self._turn)
        if self._probe is not None or self.seconds_left > 0:
            return None
        self._probe = Attempt(self._turn)
        return self._probe

    def succeeded(self) -> None:
        """The upstream answered: it is there, whatever it said, and whenever it was asked."""
        self._turn += 1
        self._failed, self._opened, self._probe = 0, None, None

    def failed(self, tried: Attempt) -> None:
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

    def left(self, tried: Attempt) -> None:
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
class AllowedAttempt:
    """A request that was let through by the breaker of all, and by its asker's own."""

    all: Attempt
    own: Attempt
    breaker: Breaker


@dataclass(slots=True)
class _SeenRequester:
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
        self._seen: OrderedDict[Requester, _SeenRequester] = OrderedDict()

    def allows(self, asker: Requester) -> AllowedAttempt | None:
        """A request may be sent, where it is given; None where none may. It must be told of: `succeeded`, `failed` or `left`."""
        own = self._own(asker)
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

    def seconds_left(self, asker: Requester) -> float:
        """Until a request of this asker may try."""
        return max(self.all.seconds_left, self._own(asker).seconds_left)

    def succeeded(self, allowed: AllowedAttempt) -> None:
        """The upstream answered."""
        self.all.succeeded()
        allowed.breaker.succeeded()

    def failed(self, allowed: AllowedAttempt, reached: bool) -> None:
        """The request failed, at its last try. `reached`: the upstream was there, so that the request may be why."""
        allowed.breaker.failed(allowed.own)
        if not reached:
            self.all.failed(allowed.all)
            return
        self.all.left(allowed.all)
        if allowed.breaker.state is BreakerState.OPEN and self.all.state is not BreakerState.OPEN and self._is_everyone():
            self.all.open()

    def left(self, allowed: AllowedAttempt) -> None:
        """Nobody waited for what would have come of this request."""
        self.all.left(allowed.all)
        allowed.breaker.left(allowed.own)

    def _own(self, asker: Requester) -> Breaker:
        seen = self._seen.get(asker)
        if seen is None:
            seen = self._seen[asker] = _SeenRequester(Breaker(clock=self._clock))
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
                models.setdefault(asker.client, []).append(seen.breaker.state is BreakerState.OPEN)
        failing = sum(2 * sum(open) >= len(open) for open in models.values())
        return failing > 1 and 2 * failing >= len(models)
