"""Rate limits of visitors: so many calls in so many seconds, for each conversation, and for each address outside its conversations."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from smidgen.core.errors import RequestError

MOST_KEPT = 20_000
"""Addresses and conversations that are counted. The one that was quiet for longest is forgotten first."""


class VisitorLimit:
    """At most `most` calls in `seconds` for each key: what was used comes back evenly. Use it in one thread.

    A limit forgets nobody who called lately, as long as fewer than `MOST_KEPT` keys call within `seconds`.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, key: str) -> None:
        """Count a call. Raises RequestError, 429, if it is one too many; that one is not counted."""
        now = self._clock()
        used, then = self._used.pop(key, (0.0, now))
        used = max(0.0, used - (now - then) * self._most / self._seconds)
        allowed = used + 1 <= self._most
        self._used[key] = used + allowed, now
        while len(self._used) > MOST_KEPT:
            self._used.popitem(last=False)
        if not allowed:
            raise RequestError(
                "desk.too_many_messages_in_short_time",
                most=self._most,
                seconds=f"{self._seconds:g}",
                status=429,
                code="too_many_messages",
            )


class KnownVisitors:
    """Visitors whose token was checked: their calls count for their conversation, so nobody else at their address can use them up."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()

    def add(self, id: str, token: str) -> None:
        """Remember a visitor. The one that was quiet for longest is forgotten first."""
        self._known[_hashed(id, token)] = None
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)

    def has(self, id: str, token: str) -> bool:
        """Whether a visitor is known."""
        key = _hashed(id, token)
        if known := key in self._known:
            self._known.move_to_end(key)
        return known


def _hashed(id: str, token: str) -> str:
    return hashlib.sha256(f"{id}\0{token}".encode("utf-8", "replace")).hexdigest()
