"""Work in progress: reporting it, and calling it off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """A listener to work as it goes on. One step runs at a time."""

    def start(self, step: str, total: int | None = None) -> None:
        """Begin a step; `total` is the number of `advance` units to come, where known."""
        ...

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Count units of the step as done. `facts` are shown beside the bar (loss, rows/s)."""
        ...

    def finish(self, note: str = "") -> None:
        """End the step; `note` is its result, in a few words."""
        ...

    def say(self, text: str) -> None:
        """Tell something that is not progress: a choice made, a warning."""
        ...


class Silent:
    """A progress that says nothing."""

    def start(self, step: str, total: int | None = None) -> None:
        """Nothing is shown."""

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Nothing is shown."""

    def finish(self, note: str = "") -> None:
        """Nothing is shown."""

    def say(self, text: str) -> None:
        """Nothing is shown."""


class Cancelled(Exception):
    """Nobody waits for the work any more. Raised by the work, and caught where the cancellation was bound."""


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
        """Call the work off. Listeners are told before this returns. May be called twice."""
        with self._lock:
            self._off = True
            listeners, self._listeners = self._listeners, []
        for tell in listeners:
            tell()

    def listen(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when the work is called off, or at once where it was. Any thread may call it; it must return at once."""
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
        """Bind this thread's work to the cancellation within the block."""
        token = _bound.set(self)
        try:
            yield
        finally:
            _bound.reset(token)


_bound: ContextVar[Cancellation | None] = ContextVar("smidgen_cancellation", default=None)


def current_cancellation() -> Cancellation | None:
    """The cancellation that this thread's work is bound to; None where nothing can call it off."""
    return _bound.get()
