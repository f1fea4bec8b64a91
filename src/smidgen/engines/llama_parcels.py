"""Pieces of an answer on their way out of the model's process: those of a whole text that come shortly after one another go together.

A message wakes two threads of the process that asked. On two cores they take the time from the threads that compute the next token, each of
which then waits for the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from smidgen.engines.llama_wire import Message


class Parcels:
    """Sends pieces. The first goes at once; one that comes within `seconds` of what was sent last waits for the next one.

    What waits is sent with the next piece that comes later than that, or by `flush`. A piece with a change of a message goes alone.
    """

    def __init__(self, say: Callable[[Message], None], seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._seconds, self._clock = say, seconds, clock
        self._sent = float("-inf")
        self._held: Message | None = None

    def add(self, piece: Message) -> None:
        """Send a piece, or keep it for a moment. Its `text`, `count` and `tokens` are added to what waits."""
        if "delta" in piece:
            self.flush()
            self._send(piece)
            return
        if self._held is None:
            self._held = piece
        else:
            held = self._held
            self._held = {
                **held,
                "text": held["text"] + piece["text"],
                "count": held["count"] + piece["count"],
                "tokens": [*held["tokens"], *piece["tokens"]],
            }
        if self._clock() - self._sent >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._held is not None:
            held, self._held = self._held, None
            self._send(held)

    def _send(self, piece: Message) -> None:
        self._say(piece)
        self._sent = self._clock()
