"""Texts being answered by one model, each for itself: as many at a time as it has places, the others wait in line; each is read piece by
piece, and called off wherever it is when nobody reads on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from smidgen.core.errand import CalledOff, Errand
from smidgen.core.errors import EngineError, RequestError
from smidgen.core.replies import Reply

Source = Callable[[], Iterator[Reply]]
"""Begins a text: its pieces, and the final reply last."""

_log = logging.getLogger("smidgen.server")


class Scribe:
    """The line before one model that takes texts one by one.

    Args:
        name: the model's name, for errors.
        at_once: texts that it answers side by side; each has a thread of its own meanwhile.
        max_queue: most texts taken on at a time, waiting and being answered.
    """

    def __init__(self, name: str, at_once: int, max_queue: int) -> None:
        self._name, self._max_queue = name, max_queue
        self._pool = ThreadPoolExecutor(at_once, f"write-{name}")
        self._open: set[Sheet] = set()
        self._closing = False

    @property
    def depth(self) -> int:
        """Texts taken on that somebody waits for."""
        return len(self._open)

    def begin(self, sources: Sequence[Source], seconds: float) -> list[Sheet]:
        """Take on texts. Called in the event loop; each sheet must be closed in the end, in the loop too.

        Raises RequestError, 503, where too many wait.
        """
        if self._closing:
            raise RequestError("the server is stopping", value=self._name, todo="Try again.", status=503, code="stopping")
        if self.depth + len(sources) > self._max_queue:
            raise RequestError(
                "too many texts are waiting for this model", value=self.depth, todo="Try again in a second.", status=503, code="overloaded"
            )
        sheets = [Sheet(source, seconds, self._open.discard) for source in sources]
        self._open.update(sheets)
        for sheet in sheets:
            sheet.start(self._pool)
        return sheets

    def close(self) -> None:
        """Stop what is being written, and end the threads: the model must have been closed, or go on writing."""
        self._closing = True
        for sheet in list(self._open):
            sheet.close()
        self._pool.shutdown(wait=True, cancel_futures=True)


class Sheet:
    """One text: an async iterator of its replies, the last of which is final.

    Raises RequestError from its iteration: 503 where the model did not get to it in time or its process died, 504 where it was not done in
    time; and whatever the source raises.
    """

    def __init__(self, source: Source, seconds: float, on_close: Callable[[Sheet], None]) -> None:
        self._source, self._seconds, self._on_close = source, seconds, on_close
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._queue: asyncio.Queue[Reply | BaseException] = asyncio.Queue()
        self._future: Future[None] | None = None
        self._begun = False
        self._errand = Errand()
        self._held: Reply | None = None

    def start(self, pool: ThreadPoolExecutor) -> None:
        """Get in line."""
        self._future = pool.submit(self._write)
        self._future.add_done_callback(self._over)

    def close(self) -> None:
        """Nobody reads on: it ends now, whatever it waits for, or is not begun at all. May be called twice."""
        self._errand.call_off()
        if self._future is not None:
            self._future.cancel()
        self._on_close(self)

    async def begun(self) -> None:
        """Wait for the first reply, and hold it back for who reads. Raises what reading would: there is still time to refuse."""
        self._held = await anext(self)

    def __aiter__(self) -> Sheet:
        return self

    async def __anext__(self) -> Reply:
        """The next reply."""
        if (held := self._held) is not None:
            self._held = None
            return held
        if self._errand.off:
            raise StopAsyncIteration
        try:
            async with asyncio.timeout_at(self._deadline):
                found = await self._queue.get()
        except TimeoutError:
            self.close()
            raise self._late() from None
        if isinstance(found, Reply) and not found.final:
            return found
        self.close()
        if isinstance(found, Reply):
            return found
        if isinstance(found, EngineError):
            raise unavailable(found) from found
        raise found

    def _write(self) -> None:
        """In a thread of the pool: read the source to its end, or until nobody wants it any more."""
        self._begun = True
        with contextlib.suppress(CalledOff), self._errand.bound():
            replies = self._source()
            try:
                for reply in replies:
                    if self._errand.off:
                        return
                    self._say(reply)
            finally:
                if isinstance(replies, Generator):
                    replies.close()

    def _over(self, future: Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._say(error)

    def _say(self, what: Reply | BaseException) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(self._queue.put_nowait, what)

    def _late(self) -> RequestError:
        value = f"{self._seconds:g} s"
        if self._begun:
            todo = "Ask for less with max_tokens, or send fewer texts."
            return RequestError("the model was not done in time", value=value, todo=todo, status=504, code="timeout")
        return RequestError("the model did not get to this in time", value=value, todo="Try again later.", status=503, code="overloaded")


async def read(sheets: Sequence[Sheet]) -> list[list[Reply]]:
    """The replies of each sheet, to its end. They are being written side by side, whichever is read first."""
    return [[reply async for reply in sheet] for sheet in sheets]


async def as_they_come(sheets: Sequence[Sheet]) -> AsyncIterator[tuple[int, Reply]]:
    """The replies of all sheets, whichever has one first, each with the place of its sheet. Of each one reply is held at most. What one
    sheet raises ends them all."""
    if len(sheets) == 1:
        async for reply in sheets[0]:
            yield 0, reply
        return
    waits = {asyncio.ensure_future(_next(sheet)): place for place, sheet in enumerate(sheets)}
    try:
        while waits:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in sorted(done, key=waits.__getitem__):
                found = wait.result()
                place = waits.pop(wait)
                if found is None:
                    continue
                if not found.final:
                    waits[asyncio.ensure_future(_next(sheets[place]))] = place
                yield place, found
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _next(sheet: Sheet) -> Reply | None:
    return await anext(sheet, None)


def unavailable(error: EngineError) -> RequestError:
    """A failure of the model's process as the client is told of it; the log has the reason, which may be of no concern to clients."""
    _log.error("%s", error)
    return RequestError(
        "the model's process could not answer", value=error.what, todo="Try again in a second.", status=503, code="engine_unavailable"
    )
