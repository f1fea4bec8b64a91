"""A served model: its interface, its queues, and the requests that hold it.

Texts that wait for the same model are answered together, in micro-batches. Nothing waits for a batch to fill: a lone text goes to the model
at once. While the model works, others gather, and up to `max_batch` of them go next. A model that takes texts one by one has a
`GenerationQueue` instead.

Everything but the model runs in the event loop's thread. A worker thread runs the model. They share only a queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from smidgen.core.errors import EngineError, RequestError, SmidgenError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.progress import Cancellation, Cancelled
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.server.settings import LimitSettings

_log = logging.getLogger("smidgen.server")


class ServedBundle(Protocol):
    """A loaded bundle."""

    @property
    def name(self) -> str:
        """The name that requests use."""
        ...

    @property
    def id(self) -> str:
        """A short hash that identifies exactly this bundle."""
        ...

    @property
    def task(self) -> Task:
        """Its task, which knows how to show its replies."""
        ...

    @property
    def form(self) -> Form:
        """The form of its answers."""
        ...

    @property
    def manifest(self) -> Any:
        """The bundle's manifest."""
        ...

    @property
    def pid(self) -> int | None:
        """Id of the separate process that holds its weights; None without one, or while it does not run."""
        ...

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        """Return one reply per text, in order. May be called from several threads."""
        ...

    def embed(self, texts: Sequence[Text]) -> list[Reply]:
        """Return one reply per text, in order, whose output is the text's unit vector as a list of numbers.

        Raises RequestError, 422, if this model has no vectors.
        """
        ...

    @property
    def slots(self) -> int:
        """Number of single texts that `predict` answers side by side when called from this many threads; 0 for batches."""
        ...

    @property
    def at_once(self) -> int:
        """Number of texts that it writes side by side; 0 for a model that does not write."""
        ...

    def write(self, text: Text, **options: Any) -> Iterator[Reply]:
        """Yield the answer to a text, piece by piece, the whole one last. May be called from several threads."""
        ...

    def converse(self, body: Mapping[str, Any]) -> Iterator[Reply]:
        """Yield the next turn of a conversation, from OpenAI's body of a chat completion, as `write` does."""
        ...

    def close(self) -> None:
        """Stop its engine. It answers no more."""
        ...


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """The identity and form of a bundle without its weights, for data that outlives it."""

    name: str
    id: str
    task: Task
    form: Form


def bundle_identity(model: ServedBundle) -> BundleIdentity:
    """Return the identity of a loaded bundle."""
    return BundleIdentity(model.name, model.id, model.task, model.form)


def takes_pairs(model: ServedBundle) -> bool:
    """Return True if a bundle was trained on pairs of texts, as its manifest says."""
    column = getattr(getattr(model.manifest, "columns", None), "input", None)
    return isinstance(column, tuple | list) and len(column) == 2


def input_of(model: ServedBundle, pieces: Sequence[str]) -> Text:
    """Return the pieces of a message as a bundle's input: one text, or for a bundle of pairs, two pieces as the pair."""
    return (pieces[0], pieces[1]) if takes_pairs(model) and len(pieces) == 2 else "\n".join(filter(None, pieces))


def warm(model: ServedBundle) -> None:
    """Answer one text: the first is slow, and should not be a client's."""
    text: Text = ("ready", "ready") if takes_pairs(model) else "ready"
    if model.at_once:
        for _ in model.write(text, max_tokens=1):  # this makes the engine read the fixed part of the prompt
            pass
    else:
        model.predict([text])


_WATCH_AFTER = 0.05
"""Seconds before a waiting request's client is watched for a disconnect. Most requests are answered sooner."""


@dataclass(slots=True, eq=False)
class BatchJob:
    """The texts of one request. The event loop sets `dropped` when nobody waits for the answer any more."""

    texts: Sequence[Text]
    future: asyncio.Future[list[Reply]]
    replies: list[Reply | None]
    missing: int
    started: bool = False
    dropped: bool = False


Predict = Callable[[Sequence[Text]], list[Reply]]

BatchItem = tuple[BatchJob, int]
"""One text of a job: the job, and the text's index."""


class Batcher:
    """The queue in front of one model, and the thread that runs it.

    Args:
        name: the model's name, for errors.
        predict: returns one reply per text, in order. Called from one thread at a time.
        max_batch: most texts in one call.
        max_queue: most texts waiting and running.
        on_batch: gets the size of every batch, in the loop's thread.
    """

    def __init__(self, name: str, predict: Predict, max_batch: int, max_queue: int, on_batch: Callable[[int], None] | None = None) -> None:
        self._name, self._predict = name, predict
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._on_batch = on_batch
        self._queue: queue.SimpleQueue[BatchItem | None] = queue.SimpleQueue()
        self._depth = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def depth(self) -> int:
        """Number of accepted texts without an answer."""
        return self._depth

    @property
    def alive(self) -> bool:
        """True if a new text would be answered."""
        return not self._closing and (self._thread is None or self._thread.is_alive())

    async def ask(self, texts: Sequence[Text], seconds: float, gone: Callable[[], Awaitable[None]] | None = None) -> list[Reply]:
        """Return replies to texts, in order.

        `gone` returns when the client disconnects; its texts then leave the queue. Raises RequestError: 503 for a full queue or if the
        model did not start in `seconds`, 504 if it started but did not finish, 499 if the client disconnected.
        """
        job = self._take_on(texts)
        assert self._loop is not None
        watch = self._loop.call_later(_WATCH_AFTER, _watch, job, gone) if gone is not None else None
        try:
            async with asyncio.timeout(seconds):
                return await job.future
        except TimeoutError:
            raise _late(job, seconds) from None
        finally:
            if watch is not None:
                watch.cancel()
            self._drop(job)

    def close(self, seconds: float = 10.0) -> None:
        """Answer waiting texts, then stop the thread."""
        self._closing = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(seconds)

    def _take_on(self, texts: Sequence[Text]) -> BatchJob:
        if not self.alive:
            raise RequestError("server.server_is_stopping", value=self._name, status=503, code="stopping")
        if self._depth + len(texts) > self._max_queue:
            raise RequestError("server.too_many_texts_are_waiting", value=self._depth, status=503, code="overloaded")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name=f"model-{self._name}", daemon=True)
            self._thread.start()
        assert self._loop is not None
        job = BatchJob(texts, self._loop.create_future(), [None] * len(texts), len(texts))
        self._depth += len(texts)
        for place in range(len(texts)):
            self._queue.put((job, place))
        return job

    def _drop(self, job: BatchJob) -> None:
        """Remove a job's remaining texts from the queue: the worker skips them, and their places are free at once."""
        if not job.dropped:
            job.dropped = True
            self._depth -= job.missing
            job.missing = 0

    def _work(self) -> None:
        """Take waiting texts and run them, until told to stop. Runs in the worker thread."""
        assert self._loop is not None
        stopping = False
        while not stopping:
            first = self._queue.get()
            items: list[BatchItem] = []
            while True:
                if first is None:
                    stopping = True
                    break
                if not first[0].dropped:
                    first[0].started = True
                    items.append(first)
                if len(items) == self._max_batch:
                    break
                try:
                    first = self._queue.get_nowait()
                except queue.Empty:
                    break
            if items:
                outcomes = self._run(items)
                try:
                    self._loop.call_soon_threadsafe(self._deliver, items, outcomes)
                except RuntimeError:  # the loop has closed, so nobody waits for an answer
                    return

    def _run(self, items: Sequence[BatchItem]) -> list[Reply | Exception]:
        texts = [job.texts[place] for job, place in items]
        try:
            replies = self._predict(texts)
            if len(replies) != len(texts):
                raise EngineError("server.model_did_not_answer_every_text", replies=len(replies), texts=len(texts))
            return list(replies)
        except Exception as error:  # noqa: BLE001 any error of a model belongs to the batch's requests; the thread must survive
            if len(items) == 1:
                return [error]
        # A text that the model cannot take must not cost others their answers.
        return [outcome for item in items for outcome in self._run([item])]

    def _deliver(self, items: Sequence[BatchItem], outcomes: Sequence[Reply | Exception]) -> None:
        """Deliver the results of a batch in the event loop: a reply or an error for each text."""
        if self._on_batch is not None:
            self._on_batch(len(items))
        for (job, place), outcome in zip(items, outcomes, strict=True):
            if job.dropped:
                continue
            if isinstance(outcome, Exception):
                self._drop(job)
                if not job.future.done():
                    job.future.set_exception(outcome if isinstance(outcome, SmidgenError) else _Unexpected(outcome))
                continue
            job.replies[place] = outcome
            job.missing -= 1
            self._depth -= 1
            if not job.missing and not job.future.done():
                job.future.set_result([reply for reply in job.replies if reply is not None])


class _Unexpected(Exception):
    """An unexpected error of a model. The outermost layer logs its cause and answers 500."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(type(cause).__name__)
        self.__cause__ = cause


def _watch(job: BatchJob, gone: Callable[[], Awaitable[None]]) -> None:
    """Stop waiting for a job when its client disconnects."""

    async def until_gone() -> None:
        await gone()
        if not job.future.done():
            job.future.set_exception(
                RequestError("server.client_has_gone_with_texts", texts=len(job.texts), status=499, code="client_gone")
            )

    watcher = asyncio.ensure_future(until_gone())
    job.future.add_done_callback(lambda _: watcher.cancel())


def _late(job: BatchJob, seconds: float) -> RequestError:
    if job.started:
        return RequestError("server.model_was_not_done_in_time", value=f"{seconds:g} s", status=504, code="timeout")
    return RequestError("server.model_did_not_get_to_this_in_time", value=f"{seconds:g} s", status=503, code="overloaded")


GenerationSource = Callable[[], Iterator[Reply]]
"""Starts a text. Yields its pieces, and the final reply last."""


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

    def __init__(self, model: ServedBundle, limits: LimitSettings, on_batch: Callable[[int], None] | None = None) -> None:
        self.model = model
        self.batcher = Batcher(model.name, lambda texts: model.predict(texts), limits.max_batch, limits.max_queue, on_batch)
        self.embedder = Batcher(model.name, model.embed, limits.max_batch, limits.max_queue)
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
