"""What requests to a bundle take where the large model answers them, as its upstream counts: what a local answer saved is reckoned by it.

An answer given here has no usage of the large model. One token for every four characters leaves out what the large model reads beside the
text, and what it thinks before it writes. The requests to the same bundle that did go upstream say how much that is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

LEAST = 5
"""Measured requests of a bundle from which on they are reckoned by."""
_MOST = 2000
"""Of so many the sums are halved, so that what is new counts."""


@dataclass(slots=True)
class _Sums:
    requests: float = 0.0
    asked: float = 0.0
    given: float = 0.0
    got: float = 0.0


class MeasuredSizes:
    """By bundle. Any thread may note and ask."""

    def __init__(self) -> None:
        self._sums: dict[str, _Sums] = {}
        self._lock = threading.Lock()

    def note(self, bundle: str, asked: int, given: int, got: int) -> None:
        """A request to a bundle went upstream.

        Args:
            asked: tokens of its texts, estimated as they are of a local answer.
            given, got: tokens that the upstream says it read and wrote.
        """
        if asked <= 0 or given <= 0:
            return
        with self._lock:
            sums = self._sums.setdefault(bundle, _Sums())
            if sums.requests >= _MOST:
                sums.requests, sums.asked, sums.given, sums.got = (part / 2 for part in (sums.requests, sums.asked, sums.given, sums.got))
            sums.requests += 1
            sums.asked += asked
            sums.given += given
            sums.got += got

    def of(self, bundle: str, asked: int) -> tuple[int, int, int] | None:
        """Tokens that the large model would have read and written for a request with texts of this size, and on how many requests that
        rests; None where too few were measured."""
        with self._lock:
            sums = self._sums.get(bundle)
            if sums is None or sums.requests < LEAST:
                return None
            return round(asked * sums.given / sums.asked), max(1, round(sums.got / sums.requests)), int(sums.requests)
