"""The served bundles behind all faces: find a bundle, check its input, ask it, and count."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from starlette.types import Receive

from smidgen.core.errors import InputError, RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.flows.operating_point import operating_point
from smidgen.server.models import (
    Batcher,
    Generation,
    GenerationQueue,
    GenerationSource,
    ModelQueues,
    ServedBundle,
    read_generations,
    takes_pairs,
)
from smidgen.server.ops.prometheus import DriftGauge, MemoryGauge, ServerMetrics
from smidgen.server.reply_json import token_count
from smidgen.server.request import HttpRequest, disconnected, while_there
from smidgen.server.settings import ServeSettings

if TYPE_CHECKING:
    from smidgen.server.ops.usage_account import AccountWriter
    from smidgen.server.traffic.recorder import Recorder


T = TypeVar("T")
_OPERATING = "operating score"


class ShownModel(Protocol):
    """A model that is shown to customers on sites, under a name of its own."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def proxy_unnamed(self) -> bool:
        """True if a proxy's header has come that no setting names."""

    def tools(self, prefix: str) -> Sequence[Any]:
        """Return its tools for MCP clients (`mcp.model_tools.OfferedTool`), each name with this prefix."""


class Service:
    """The bundles that the faces serve.

    Args:
        models: the loaded bundles. Raises InputError if two have the same name, or there is neither a bundle nor a fallback nor a desk.
        settings: limits.
        shown: shown on sites. Raises InputError if two have the same name.
    """

    def __init__(self, models: Sequence[ServedBundle], settings: ServeSettings, shown: Sequence[ShownModel] = ()) -> None:
        if not models and not settings.fallback.urls and not shown:
            raise InputError("cli.there_is_nothing_to_serve")
        self.settings = settings
        self.metering = ServerMetrics()
        self.started = int(time.time())
        self.recorder: Recorder | None = None
        """Stores captured requests; None without capture."""
        self.account_writer: AccountWriter | None = None
        """Records usage; None without an account."""
        self.refuse: Callable[[str, str | None], bool] | None = None
        """Drops a wrong answer from the cache, by its request's id and the key that reports it (None: an admin's). True if it was there.

        None without a cache.
        """
        self.shown: dict[str, ShownModel] = {}
        for one in shown:
            if one.name in self.shown:
                raise InputError("server.two_desks_have_same_name", value=one.name)
            self.shown[one.name] = one
        self.metering.proxy_unnamed.set_function(lambda: any(one.proxy_unnamed for one in self.shown.values()))
        self.models: dict[str, ServedBundle] = {}
        self._queues: dict[str, ModelQueues] = {}
        self._open: dict[int, ModelQueues] = {}
        for model in models:
            if model.name in self.models:
                raise InputError("server.two_bundles_have_same_name", value=model.name)
            self._take(model)
        self.metering.registry.register(MemoryGauge(self.models.values()))
        self.metering.registry.register(DriftGauge(self.models.values()))

    @property
    def ready(self) -> bool:
        """True if every bundle would answer now."""
        return all(queues.batcher.alive for queues in self._queues.values())

    def engines(self) -> dict[int, tuple[str, ...]]:
        """Return the engines' process ids, each with the names of the bundles whose weights it holds."""
        found: dict[int, tuple[str, ...]] = {}
        for model in list(self.models.values()):
            if (pid := model.pid) is not None:
                found[pid] = (*found.get(pid, ()), model.name)
        return found

    def find(self, name: str | None, request: HttpRequest) -> ServedBundle:
        """Return the bundle of a name, as this request sees it; without a name, the only bundle.

        Raises RequestError; 404 for an unknown name.
        """
        if name is None:
            if len(self._queues) == 1:
                return next(iter(self._queues.values())).held(request.held).model
            raise RequestError("server.request_names_no_model", value="model", names=self._names(), param="model")
        if name in self._queues:
            return self._queues[name].held(request.held).model
        close = difflib.get_close_matches(name[:200], self.models, n=1)
        raise RequestError(
            "server.no_model_has_this_name_but_one_is_near" if close else "server.no_model_has_this_name",
            value=name,
            close=close[0] if close else None,
            names=self._names(),
            status=404,
            code="model_not_found",
            param="model",
        )

    async def ask(self, model: ServedBundle, texts: Sequence[Text], request: HttpRequest, param: str) -> list[Reply]:
        """Return a bundle's replies to texts, in order. `param`: the request's field with the texts, for errors.

        Raises RequestError: 422 for texts beyond the limits; and the errors of the batcher or the generation queue.
        """
        self.check(model, texts, param)
        queues = self._queues_of(model)
        if queues.generation_queue is not None:
            replies = await self._one_by_one(queues.generation_queue, model, texts, request)
        else:
            replies = await self._run(queues.batcher, texts, request)
        if not self.settings.fallback.urls:
            replies = [self._marked(model, reply) for reply in replies]
        self.metering.answered(model.name, queues.labels, replies)
        request.replies += replies
        if request.usage is not None:
            written = [token_count(model.task.content(reply)) for reply in replies]
            request.usage.answered_texts(model.name, [token_count(joined(text)) for text in texts], written)
        return replies

    def operating_score(self, model: ServedBundle) -> tuple[float | None, float | None]:
        """Return the score from which a bundle answers by itself, and the measured share of wrong answers from there on; each None if it
        is not known. They are read once, while the bundle is open."""
        return self.noted(model, _OPERATING, self._read_operating_score)

    def _read_operating_score(self, model: ServedBundle) -> tuple[float | None, float | None]:
        least, folder = self.settings.local.score, getattr(model, "folder", None)
        point = None if folder is None else operating_point(folder, least)
        if point is None:
            return least, None
        self.metering.measured_error.labels(model.name).set(point.error)
        return (point.threshold if least is None else least), point.error

    def _marked(self, model: ServedBundle, reply: Reply) -> Reply:
        """A reply that no large model can replace, with `unsure` among its facts if its score is under the operating point."""
        least, _ = self.operating_score(model)
        if least is None or reply.score >= least or "unscored" in reply.facts:
            return reply
        return replace(reply, facts={**reply.facts, "unsure": f"its score is under {least:.3g}"})

    async def embed(self, model: ServedBundle, texts: Sequence[Text], request: HttpRequest, param: str) -> list[list[float]]:
        """Return vectors of texts, in order. Raises as `ask` does, and RequestError, 422, if the model has no vectors."""
        self.check(model, texts, param)
        replies = await self._run(self._queues_of(model).embedder, texts, request)
        if request.usage is not None:
            request.usage.answered_texts(model.name, [token_count(joined(text)) for text in texts], [])
        return [reply.output for reply in replies]

    def write(self, model: ServedBundle, sources: list[GenerationSource]) -> list[Generation]:
        """Start texts that a model writes, each to be read piece by piece and closed. Raises RequestError, 503, if too many wait."""
        generation_queue = self._queues_of(model).generation_queue
        assert generation_queue is not None
        return generation_queue.begin(sources, self.settings.limits.request_seconds)

    def wrote(self, model: ServedBundle, reply: Reply, request: HttpRequest) -> None:
        """Count a completely written text."""
        self.metering.answered(model.name, frozenset(), [reply])
        request.replies.append(reply)
        if request.usage is not None:
            counted = reply.piece.usage if reply.piece is not None else None
            request.usage.wrote_text(model.name, token_count(model.task.content(reply)), counted)
        if reply.piece is not None and reply.piece.usage is not None:
            self.metering.wrote(model.name, reply.piece.usage)

    async def while_there(self, request: HttpRequest, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of some work. Raises RequestError, 499, and cancels the work, as soon as the client disconnects."""
        return await while_there(_receive(request), None, work)

    async def _run(self, batcher: Batcher, texts: Sequence[Text], request: HttpRequest) -> list[Reply]:
        return await batcher.ask(texts, self.settings.limits.request_seconds, lambda: disconnected(_receive(request)))

    async def _one_by_one(
        self, generation_queue: GenerationQueue, model: ServedBundle, texts: Sequence[Text], request: HttpRequest
    ) -> list[Reply]:
        sources: list[GenerationSource] = [partial(_answered, model, text) for text in texts]
        generations = generation_queue.begin(sources, self.settings.limits.request_seconds)
        try:
            return [reply for (reply,) in await self.while_there(request, read_generations(generations))]
        finally:
            for generation in generations:
                generation.close()

    def replace(self, model: ServedBundle) -> ModelQueues:
        """Replace the model with the same name, for all new requests. Returns the old one's queues.

        The old one still answers the requests that hold it, until `retire`. Call it in the event loop.
        """
        old = self._queues[model.name]
        self.metering.loaded.remove(model.name, old.model.id, old.model.task.name)
        self._take(model)
        return old

    async def retire(self, queues: ModelQueues) -> None:
        """Close the queues of a replaced model when no request holds it any more, or after the longest request time.

        A request that holds it longer waits for something else, and does not keep it open.
        """
        await queues.retire(self.settings.limits.request_seconds + self.settings.limits.drain_seconds)
        self._open.pop(id(queues.model), None)

    async def close(self) -> None:
        """Answer waiting texts, then stop and close the models."""
        open_queues = list(self._open.values())
        await asyncio.gather(*(queues.drain() for queues in open_queues))
        for queues in open_queues:
            await queues.end()

    def noted(self, model: ServedBundle, name: str, make: Callable[[ServedBundle], T]) -> T:
        """Return a note about a model, made on the first call and kept while the model is open; for a closed one, made each time.

        `name`: the note's. Thread-safe; of two simultaneous calls, one note is kept.
        """
        queues = self._open.get(id(model))
        if queues is None or queues.model is not model:
            return make(model)
        note: T = queues.notes[name] if name in queues.notes else queues.notes.setdefault(name, make(model))
        return note

    def _take(self, model: ServedBundle) -> None:
        if model.task.serving is not None:
            model.task.serving.prepare(model)
        queues = ModelQueues(model, self.settings.limits, self.metering.batches.labels(model.name).observe)
        self.models[model.name] = model
        self._queues[model.name] = self._open[id(model)] = queues
        self.metering.waiting.labels(model.name).set_function(lambda: queues.depth)
        self.metering.loaded.labels(model.name, model.id, model.task.name).set(1)

    def _queues_of(self, model: ServedBundle) -> ModelQueues:
        queues = self._open.get(id(model))
        if queues is None:
            raise RequestError("server.this_model_was_replaced", value=model.name, status=503, code="stopping")
        return queues

    def check(self, model: ServedBundle, texts: Sequence[Text], param: str) -> None:
        """Raise RequestError, 422, for texts beyond the limits, or of a kind that the model does not take."""
        pairs = takes_pairs(model)
        if not texts:
            raise RequestError("server.there_is_no_text", param=param)
        most = min(self.settings.limits.max_inputs, self.settings.limits.max_queue)
        if len(texts) > most:
            raise RequestError("server.there_are_too_many_texts", value=len(texts), most=most, code="too_many_inputs", param=param)
        for place, text in enumerate(texts):
            if isinstance(text, str) is pairs:
                raise RequestError(
                    "server.model_takes_pairs_of_texts" if pairs else "server.model_takes_single_texts",
                    place=place + 1,
                    code="wrong_input",
                    param=param,
                )
            # One side of a gap may be empty.
            for piece in (joined(text),) if isinstance(text, str) or model.task.pair else text:
                self.check_text(piece, param if len(texts) == 1 else f"{param}.{place}")

    def check_text(self, text: str, param: str) -> None:
        """Raise RequestError, 422, for a text that is too long, empty or invalid."""
        if len(text) > self.settings.limits.max_chars:
            raise RequestError(
                "server.text_is_too_long", characters=len(text), max_chars=self.settings.limits.max_chars, code="text_too_long", param=param
            )
        if not text.strip():
            raise RequestError("server.text_is_empty", characters=len(text), code="empty_text", param=param)
        if not text.isascii() and _broken(text):
            raise RequestError("server.text_is_not_valid_unicode", code="invalid_unicode", param=param)

    def _names(self) -> str:
        return ", ".join(sorted(self.models))


def _answered(model: ServedBundle, text: Text) -> Iterator[Reply]:
    """Yield a whole answer in one piece."""
    yield from model.predict([text])


def _receive(request: HttpRequest) -> Receive:
    assert request.receive is not None, "its body was read"
    return request.receive


def _broken(text: str) -> bool:
    """Return True if a text has a lone surrogate, which JSON escapes can produce and no tokenizer accepts."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
