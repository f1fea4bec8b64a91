"""Micro-batches: texts that wait for the same model are answered together.

Nothing waits for a batch to fill. A lone text goes to the model at once. While the model works, others gather, and up to `max_batch` of
them go next. So batches form under load and cost nothing without it.

Everything but the model runs in the event loop's thread. One worker thread runs the model. They share only a queue.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from smidgen.core.errors import EngineError, RequestError, SmidgenError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text

_WATCH_AFTER = 0.05
"""Seconds before a waiting request's client is watched for a disconnect. Most requests are answered sooner."""


class BatchModel(Protocol):
    """A model that a batcher runs."""

    @property
    def name(self) -> str:
        """Its name, for errors."""
        ...

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        """Return one reply per text, in order. Called from one thread at a time."""
        ...


@dataclass(slots=True, eq=False)
class BatchJob:
    """The texts of one request. The event loop sets `dropped` when nobody waits for the answer any more."""

    texts: Sequence[Text]
    future: asyncio.Future[list[Reply]]
    replies: list[Reply | None]
    missing: int
    started: bool = False
    dropped: bool = False


BatchItem = tuple[BatchJob, int]
"""One text of a job: the job, and the text's index."""


class Batcher:
    """The queue in front of one model, and the thread that runs it.

    Args:
        model: the model.
        max_batch: most texts in one call.
        max_queue: most texts waiting and running.
        on_batch: gets the size of every batch, in the loop's thread.
    """

    def __init__(self, model: BatchModel, max_batch: int, max_queue: int, on_batch: Callable[[int], None] = lambda size: None) -> None:
        self._model = model
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
            raise RequestError("server.server_is_stopping", value=self._model.name, status=503, code="stopping")
        if self._depth + len(texts) > self._max_queue:
            raise RequestError("server.too_many_texts_are_waiting", value=self._depth, status=503, code="overloaded")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name=f"model-{self._model.name}", daemon=True)
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
            replies = self._model.predict(texts)
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
