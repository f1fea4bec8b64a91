"""The queues in front of each model: batches, generated texts, and a count of the requests that hold the model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from smidgen.core.errors import EngineError, RequestError
from smidgen.core.progress import Cancellation, Cancelled
from smidgen.core.replies import Reply
from smidgen.server.batching import Batcher
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.served_bundle import BundleIdentity, BundleVectors, ServedBundle, bundle_identity
from smidgen.server.settings import LimitSettings

GenerationSource = Callable[[], Iterator[Reply]]
"""Starts a text. Yields its pieces, and the final reply last."""

_log = logging.getLogger("smidgen.server")


class GenerationQueue:
    """The queue in front of a model that takes texts one by one.

    Args:
        name: the model's name, for errors.
        at_once: texts answered side by side, each in its own thread.
        max_queue: most texts waiting and in progress.
    """

    def __init__(self, name: str, at_once: int, max_queue: int) -> None:
        self._name, self._max_queue = name, max_queue
        self._pool = ThreadPoolExecutor(at_once, f"write-{name}")
        self._open: set[Generation] = set()
        self._closing = False

    @property
    def depth(self) -> int:
        """Number of accepted texts that somebody waits for."""
        return len(self._open)

    def begin(self, sources: Sequence[GenerationSource], seconds: float) -> list[Generation]:
        """Accept texts. Call it in the event loop, and close each generation there in the end.

        Raises RequestError, 503, if too many wait.
        """
        if self._closing:
            raise RequestError("server.server_is_stopping", value=self._name, status=503, code="stopping")
        if self.depth + len(sources) > self._max_queue:
            raise RequestError("server.too_many_texts_are_waiting", value=self.depth, status=503, code="overloaded")
        generations = [Generation(source, seconds, self._open.discard) for source in sources]
        self._open.update(generations)
        for generation in generations:
            generation.start(self._pool)
        return generations

    def close(self) -> None:
        """Stop all generations and end the threads. Close the model first, or it goes on writing."""
        self._closing = True
        for generation in list(self._open):
            generation.close()
        self._pool.shutdown(wait=True, cancel_futures=True)


class Generation:
    """One text: an async iterator of its replies, the last of which is final.

    Iterating raises RequestError: 503 if the model did not start in time or its process died, 504 if it did not finish in time; and any
    error of the source.
    """

    def __init__(self, source: GenerationSource, seconds: float, on_close: Callable[[Generation], None]) -> None:
        self._source, self._seconds, self._on_close = source, seconds, on_close
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._queue: asyncio.Queue[Reply | BaseException] = asyncio.Queue()
        self._future: Future[None] | None = None
        self._begun = False
        self._cancellation = Cancellation()
        self._held: Reply | None = None

    def start(self, pool: ThreadPoolExecutor) -> None:
        """Join the queue."""
        self._future = pool.submit(self._write)
        self._future.add_done_callback(self._over)

    def close(self) -> None:
        """Stop, because nobody reads on; a waiting generation does not start. May be called twice."""
        self._cancellation.call_off()
        if self._future is not None:
            self._future.cancel()
        self._on_close(self)

    async def begun(self) -> None:
        """Wait for the first reply, and keep it for the reader. Raises reading's errors while the request can still be refused."""
        self._held = await anext(self)

    def __aiter__(self) -> Generation:
        return self

    async def __anext__(self) -> Reply:
        """Return the next reply."""
        if (held := self._held) is not None:
            self._held = None
            return held
        if self._cancellation.off:
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
            raise engine_unavailable(found) from found
        raise found

    def _write(self) -> None:
        """Read the source to its end, or until cancelled. Runs in a thread of the pool."""
        self._begun = True
        with contextlib.suppress(Cancelled), self._cancellation.bound():
            replies = self._source()
            try:
                for reply in replies:
                    if self._cancellation.off:
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
        with contextlib.suppress(RuntimeError):  # the loop has closed, so nobody reads it
            self._loop.call_soon_threadsafe(self._queue.put_nowait, what)

    def _late(self) -> RequestError:
        value = f"{self._seconds:g} s"
        if self._begun:
            return RequestError("server.model_that_writes_was_not_done_in_time", value=value, status=504, code="timeout")
        return RequestError("server.model_did_not_get_to_this_in_time", value=value, status=503, code="overloaded")


async def read_generations(generations: Sequence[Generation]) -> list[list[Reply]]:
    """Return all replies of each generation. The generations run side by side, whatever the reading order."""
    return [[reply async for reply in generation] for generation in generations]


async def merged_replies(generations: Sequence[Generation]) -> AsyncIterator[tuple[int, Reply]]:
    """Yield replies of all generations as they come, with the generation's index. At most one reply of each is buffered.

    An error in one generation ends all of them.
    """
    if len(generations) == 1:
        async for reply in generations[0]:
            yield 0, reply
        return
    waits = {asyncio.ensure_future(_next_reply(generation)): place for place, generation in enumerate(generations)}
    try:
        while waits:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in sorted(done, key=waits.__getitem__):
                found = wait.result()
                place = waits.pop(wait)
                if found is None:
                    continue
                if not found.final:
                    waits[asyncio.ensure_future(_next_reply(generations[place]))] = place
                yield place, found
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _next_reply(generation: Generation) -> Reply | None:
    return await anext(generation, None)


def engine_unavailable(error: EngineError) -> RequestError:
    """Return the client's error for a failure of the model's process. The log has the reason, which clients need not see."""
    _log.error("%s", error)
    return RequestError("server.model_process_could_not_answer", value=error.what, status=503, code="engine_unavailable")


class HeldModels:
    """The queues of the models that one request holds, by model name. Empty once it is over, even for work it left behind."""

    def __init__(self) -> None:
        self.queues: dict[str, ModelQueues] = {}
        self.over = False

    def end(self) -> None:
        """End the request and release its models."""
        self.over = True
        for queues in self.queues.values():
            queues.let_go()
        self.queues.clear()

    def release_ended(self) -> None:
        """Release models that have ended while the request waited for something else.

        Only for a request without any answer so far, and with none to come under a certificate: another model answers next.
        """
        for name in [name for name, queues in self.queues.items() if queues.ended]:
            self.queues.pop(name).let_go()


class ModelQueues:
    """The queues in front of one model.

    Attributes:
        model: the model.
        batcher: the queue of texts.
        embedder: the queue of texts to embed; its thread starts with the first one.
        generation_queue: the queue of a model that takes texts one by one, instead of the batcher; else None.
        labels: all labels of the model; empty if it has none.
        notes: data that other parts keep about this model, by their own names. Dropped with the queues.
        unused: set while no request holds the model.
        ended: whether it accepts nothing more.
    """

    def __init__(self, model: ServedBundle, limits: LimitSettings, metering: ServerMetrics) -> None:
        self.model = model
        self.batcher = Batcher(model, limits.max_batch, limits.max_queue, metering.batches.labels(model.name).observe)
        self.embedder = Batcher(BundleVectors(model), limits.max_batch, limits.max_queue)
        self.generation_queue = GenerationQueue(model.name, model.slots, limits.max_queue) if model.slots else None
        self.labels = frozenset(model.form.options)
        self.notes: dict[str, Any] = {}
        self.unused = asyncio.Event()
        self.unused.set()
        self.ended = False
        self._users = 0

    @property
    def depth(self) -> int:
        """Number of accepted texts without an answer."""
        return self.batcher.depth + (self.generation_queue.depth if self.generation_queue else 0)

    def held(self, holds: HeldModels | None) -> ModelQueues:
        """Return the queues for this model's name in a request: the first ones that it met, even if the model is replaced meanwhile.

        Call it in the event loop.
        """
        if holds is None or holds.over:
            return self
        name = self.model.name
        if name not in holds.queues:
            holds.queues[name] = self
            self._users += 1
            self.unused.clear()
        return holds.queues[name]

    def let_go(self) -> None:
        """Release the model when a request that held it is over."""
        self._users -= 1
        if not self._users:
            self.unused.set()

    async def drain(self) -> None:
        """Answer waiting texts, and accept nothing more."""
        self.ended = True
        await asyncio.gather(*(asyncio.to_thread(batcher.close) for batcher in (self.batcher, self.embedder)))

    async def end(self) -> None:
        """Close the model and its threads."""
        await asyncio.to_thread(self.model.close)
        if self.generation_queue is not None:
            self.generation_queue.close()

    async def retire(self, seconds: float) -> None:
        """Drain and end when no request holds the model any more, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.unused.wait()
        await self.drain()
        await self.end()


def models_of_request(holds: HeldModels | None, models: Mapping[str, ServedBundle]) -> dict[str, BundleIdentity]:
    """Return the models as a request sees them, by name: those that it holds, and the current ones for the rest."""
    held = holds.queues if holds is not None else {}
    return {name: bundle_identity(held[name].model if name in held else model) for name, model in models.items()}
