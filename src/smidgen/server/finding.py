"""Finding a near text: in a thread of its own, behind a short line, and for no longer than a moment. Nobody waits for it who need not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from smidgen.gateway.cache.differences import differ
from smidgen.gateway.cache.memory import Entry
from smidgen.server.cache_meter import CacheMeter

if TYPE_CHECKING:
    from smidgen.gateway.cache.memory import Vector

    Likeness = Callable[[str], Vector | None]

T = TypeVar("T")

_SECONDS = 1.0
"""Longest that a request waits for it; past it, the upstream is asked."""
_MOST_WAITING = 64
_REMEMBERED = 256
_MOST_CHARACTERS = 2_000
"""Longer texts are not looked at: the encoder hardly ever reads one whole."""
_MOST_READ = 64
"""Of the texts that are near enough so many are read, the nearest first: reading takes the interpreter's lock, and others wait for that."""
_EACH_SECONDS = 60.0
_log = logging.getLogger("smidgen.server")


class Finding:
    """See above.

    Args:
        likeness: gives a text's vector, of length 1; None of a text that it cannot read whole.
        least: cosine similarity that is near enough.
        meter: counts what gave nothing.
    """

    def __init__(self, likeness: Likeness, least: float, meter: CacheMeter) -> None:
        self._vector = lru_cache(_REMEMBERED)(likeness)
        self._least, self._meter = least, meter
        self._thread = ThreadPoolExecutor(1, "cache")
        self._placing: set[asyncio.Task[Vector | None]] = set()
        self._waiting = 0
        self._said = -_EACH_SECONDS

    def close(self) -> None:
        """Give up what waits."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def nearest(self, text: str, entries: Sequence[Entry]) -> tuple[Entry, float] | None:
        """The entry whose text is nearest, and says the same, with its similarity; None where none is near enough, or it takes too long."""
        if len(text) > _MOST_CHARACTERS:
            return None
        if self._waiting >= _MOST_WAITING:
            self._meter.searches.labels("late").inc()
            return None
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._done(lambda: self._nearest(text, entries))
        except TimeoutError:
            self._meter.searches.labels("late").inc()
        except Exception as error:  # noqa: BLE001 whatever fails in it, there is the upstream
            self._failed(error)
        return None

    def place(self, text: str, then: Callable[[Vector], None]) -> None:
        """Hand on the vector of a text some time soon, in the event loop; never where too much waits, or it has none."""
        if len(text) > _MOST_CHARACTERS or self._waiting >= _MOST_WAITING:
            return
        task = asyncio.get_running_loop().create_task(self._done(lambda: self._vector(text)))

        def over(done: asyncio.Future[Vector | None]) -> None:
            if done.cancelled():
                return
            if (error := done.exception()) is not None:
                self._failed(error)
            elif (vector := done.result()) is not None:
                then(vector)

        task.add_done_callback(over)
        task.add_done_callback(self._placing.discard)
        self._placing.add(task)

    async def _done(self, work: Callable[[], T]) -> T:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def _nearest(self, text: str, entries: Sequence[Entry]) -> tuple[Entry, float] | None:
        vector = self._vector(text)
        placed = [(entry, entry.vector) for entry in entries if entry.vector is not None]
        if vector is None or not placed:
            return None
        scores = np.stack([one for _, one in placed]) @ vector
        for place in np.argsort(-scores, kind="stable")[:_MOST_READ]:
            score = min(1.0, float(scores[place]))
            if not score >= self._least:
                return None
            if not differ(text, placed[place][0].question.text):
                return placed[place][0], score
        return None

    def _failed(self, error: BaseException) -> None:
        self._meter.searches.labels("failed").inc()
        if time.monotonic() - self._said >= _EACH_SECONDS:
            self._said = time.monotonic()
            _log.error("near texts cannot be found in the cache, and requests go upstream: %s", type(error).__name__)
