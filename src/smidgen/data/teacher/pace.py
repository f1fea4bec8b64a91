"""How fast a teacher is asked: so many requests a minute, evenly spaced, and none while the server wants to be left alone."""

from __future__ import annotations

import threading
import time


class Pace:
    """Spaces requests out. Safe to use from several threads.

    Args:
        per_minute: the most requests in a minute; None for any number.
        stop: ends every wait when it is set.
    """

    def __init__(self, per_minute: int | None, stop: threading.Event) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = self._held = 0.0
        self._stop = stop
        self._lock = threading.Lock()

    def wait(self) -> bool:
        """Wait for a turn. False where the work was stopped meanwhile."""
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._gap
        while (left := turn - time.monotonic()) > 0:
            if self._stop.wait(min(left, 1.0)):
                return False
            with self._lock:
                # A server that said "not before then" to one request says it to all.
                turn = max(turn, self._held)
        return not self._stop.is_set()

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        with self._lock:
            self._held = max(self._held, time.monotonic() + seconds)
            self._next = max(self._next, self._held)
