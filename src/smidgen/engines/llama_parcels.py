"""Pieces of an answer on their way out of the model's process: those that come shortly after one another go together.

A message wakes two threads of the process that asked. On two cores they take the time from the threads that compute the next token, each of
which then waits for the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from smidgen.engines.llama_wire import Message


class Parcels:
    """Sends pieces. The first goes at once; one that comes within `seconds` of what was sent last waits for the next one.

    What waits is sent with the next piece that comes later than that, or by `flush`: as one piece, of which one with a change of a message
    is no part; or `apart`, each as it is, in the `parts` of one message.
    """

    def __init__(
        self, say: Callable[[Message], None], seconds: float, apart: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._seconds, self._apart, self._clock = say, seconds, apart, clock
        self._sent = float("-inf")
        self._held: list[Message] = []

    def add(self, piece: Message) -> None:
        """Send a piece, or keep it for a moment."""
        alone = "delta" in piece and not self._apart
        if alone:
            self.flush()
        self._held.append(piece)
        if alone or self._clock() - self._sent >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        held, self._held = self._held, []
        if held:
            self._say(held[0] if len(held) == 1 else _parts(held) if self._apart else _joined(held))
            self._sent = self._clock()


def _parts(pieces: list[Message]) -> Message:
    return {"id": pieces[0]["id"], "parts": pieces}


def _joined(pieces: list[Message]) -> Message:
    """One piece with the texts, the counts and the tokens of all."""
    return {
        **pieces[0],
        "text": "".join(piece["text"] for piece in pieces),
        "count": sum(piece["count"] for piece in pieces),
        "tokens": [token for piece in pieces for token in piece["tokens"]],
    }
