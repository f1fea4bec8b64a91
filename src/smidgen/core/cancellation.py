"""Work that can be cancelled, and how those at work hear that nobody waits for it any more.

Who waits and who works are in different threads, with floors between them that have nothing to say to it. So a cancellation is bound to
the thread that does the work, for as long as that does it, and whoever is at work in the end (the engine that waits for a model) looks
it up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Cancelled(Exception):
    """Nobody waits for what was being done. Raised where it was being done, and caught where the errand was bound: nobody else is told."""


class Cancellation:
    """Work that can be called off, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._off = False

    @property
    def off(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._off

    def call_off(self) -> None:
        """Nobody waits any more. Who listens is told before this returns. May be called twice."""
        with self._lock:
            self._off = True
            listeners, self._listeners = self._listeners, []
        for tell in listeners:
            tell()

    def listen(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when it is called off: now, where it was. It is called in any thread, and must not keep that waiting."""
        with self._lock:
            if not self._off:
                self._listeners.append(tell)
                return
        tell()

    def leave(self, tell: Callable[[], None]) -> None:
        """Listen no more."""
        with self._lock:
            if tell in self._listeners:
                self._listeners.remove(tell)

    @contextmanager
    def bound(self) -> Iterator[None]:
        """What this thread does within the block is this errand."""
        token = _bound.set(self)
        try:
            yield
        finally:
            _bound.reset(token)


_bound: ContextVar[Cancellation | None] = ContextVar("smidgen_errand", default=None)


def current_cancellation() -> Cancellation | None:
    """The errand that this thread is on; None where it is on none, and nothing can call off what it does."""
    return _bound.get()
