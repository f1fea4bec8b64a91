"""Report the progress of work, and cancel it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """A listener for the progress of work. One step runs at a time."""

    def start(self, step: str, total: int | None = None) -> None:
        """Begin a step; `total` is the number of `advance` units to come, if known."""
        ...

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Count units of the step as done. `facts` are shown beside the bar (loss, rows/s)."""
        ...

    def finish(self, note: str = "") -> None:
        """End the step; `note` is its result, in a few words."""
        ...

    def say(self, text: str) -> None:
        """Report anything else: a choice made, a warning."""
        ...


class Silent:
    """A progress that shows nothing."""

    def start(self, step: str, total: int | None = None) -> None:
        """Nothing is shown."""

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Nothing is shown."""

    def finish(self, note: str = "") -> None:
        """Nothing is shown."""

    def say(self, text: str) -> None:
        """Nothing is shown."""


class Cancelled(Exception):
    """The work was cancelled. Raised by the work, and caught where the cancellation was bound."""


class Cancellation:
    """A flag to cancel work, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._off = False

    @property
    def off(self) -> bool:
        """Whether the work was cancelled."""
        return self._off

    def call_off(self) -> None:
        """Cancel the work. Calls all listeners before it returns. May be called twice."""
        with self._lock:
            self._off = True
            listeners, self._listeners = self._listeners, []
        for tell in listeners:
            tell()

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the work is cancelled, or at once if it was. Any thread may call it; it must return at once."""
        with self._lock:
            if not self._off:
                self._listeners.append(tell)
                return
        tell()

    def leave(self, tell: Callable[[], None]) -> None:
        """Remove a listener."""
        with self._lock:
            if tell in self._listeners:
                self._listeners.remove(tell)

    @contextmanager
    def bound(self) -> Iterator[None]:
        """Bind this thread's work to the cancellation within the block."""
        token = _bound.set(self)
        try:
            yield
        finally:
            _bound.reset(token)


_bound: ContextVar[Cancellation | None] = ContextVar("smidgen_cancellation", default=None)


def current_cancellation() -> Cancellation | None:
    """The cancellation that this thread's work is bound to; None if it cannot be cancelled."""
    return _bound.get()
