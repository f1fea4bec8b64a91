"""What waits to be stored: requests, and what people say of them, within bounds. Filled by any thread, emptied by one.

Requests are bounded by the bytes that they take (`collecting.Room`), and not by their number: a burst of small ones is held whole.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TypeAlias

from smidgen.server.collecting import Taken
from smidgen.store.traffic.shapes import Audited, Feedback

Said: TypeAlias = tuple[Feedback, "Future[bool]"]
"""Feedback, and what tells the one who waits for it whether its request is known."""
Entry: TypeAlias = Taken | Audited | Said

FULL, STOPPED = "queue_full", "stopped"
"""Why a request is not taken on."""

_MOST_SAID = 1024
"""Pieces of feedback."""
_BATCH = 16
"""Requests that are waited for a moment, to be stored together."""
_MOST_BATCH = 64
"""Requests that are taken out at a time where more wait: to read so many for personal data takes 0.2 s. Feedback and requests that come
meanwhile share the cores with that work."""
_GATHER_SECONDS = 0.1
"""How long a request waits for others: to store several together costs little more than to store one."""


class Backlog:
    """The line. Somebody waits for feedback: it goes before all requests but its own, which is then stored first."""

    def __init__(self) -> None:
        self._requests: deque[Taken | Audited] = deque()
        self._said: deque[Said] = deque()
        self._changed = threading.Condition()
        self._closing = False

    def add(self, taken: Taken | Audited) -> str:
        """Put a request at the end, or what was audited of one. Returns why it was not: STOPPED; empty where it was."""
        with self._changed:
            if self._closing:
                return STOPPED
            self._requests.append(taken)
            if len(self._requests) in (1, _BATCH):  # what waits for either; to wake it for each request would cost more than to queue it
                self._changed.notify()
            return ""

    def say(self, said: Feedback) -> Future[bool] | None:
        """Put feedback into the line, however many requests wait; None where too much feedback does, or nothing is taken on any more."""
        done: Future[bool] = Future()
        with self._changed:
            if self._closing or len(self._said) >= _MOST_SAID:
                return None
            self._said.append((said, done))
            self._changed.notify()
        return done

    def next(self, seconds: float) -> Sequence[Entry] | None:
        """Some of what waits, in the order in which it is to be stored; nothing where nothing came in time; None where it was closed and
        is empty. A request waits a moment for others, feedback does not."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests or self._said or self._closing, max(0.0, seconds))
            if not (self._requests or self._said):
                return None if self._closing else ()
            self._changed.wait_for(lambda: len(self._requests) >= _BATCH or self._said or self._closing, _GATHER_SECONDS)
            said = [self._said.popleft() for _ in range(min(_BATCH, len(self._said)))]
            if said:
                about = {one.request_id for one, _ in said}
                own = [one for one in self._requests if one.id in about]
                if own:
                    self._requests = deque(one for one in self._requests if one.id not in about)
                return [*own, *said]
            return [self._requests.popleft() for _ in range(min(_MOST_BATCH, len(self._requests)))]

    def rest(self, seconds: float) -> bool:
        """Wait so long, or until something comes that may not wait: feedback, or the end. Returns whether it did."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._said) or self._closing, max(0.0, seconds))

    def close(self) -> None:
        """Take nothing on any more; what waits is still given out."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def left(self) -> list[Entry]:
        """All that still waits, taken out."""
        with self._changed:
            found: list[Entry] = [*self._requests, *self._said]
            self._requests.clear()
            self._said.clear()
        return found
