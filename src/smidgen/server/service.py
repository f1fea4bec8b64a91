"""The served bundles behind all faces: finds the one that is meant, checks what it is given, asks it, and counts."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from smidgen.core.errors import InputError, RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.server import slip as slips
from smidgen.server import witness
from smidgen.server.answers import tokens
from smidgen.server.batching import Batcher
from smidgen.server.drift_gauge import Drift
from smidgen.server.memory_gauge import Memory
from smidgen.server.metering import Metering
from smidgen.server.post import Post
from smidgen.server.request_content import while_there
from smidgen.server.scribe import Scribe, Sheet, Source, read
from smidgen.server.served import Served, takes_pairs
from smidgen.server.settings import ServeSettings

if TYPE_CHECKING:
    from smidgen.server.bookkeeper import Bookkeeper
    from smidgen.server.recorder import Recorder

T = TypeVar("T")


class Service:
    """What the faces are faces of.

    Args:
        models: the loaded bundles. Raises InputError where two have the same name, or there is none.
        settings: limits.
    """

    def __init__(self, models: Sequence[Served], settings: ServeSettings) -> None:
        if not models and not settings.fallback:
            todo = "Name the folder of a bundle, or a --fallback that requests go to."
            raise InputError("there is nothing to serve", value="no bundle", todo=todo)
        self.settings = settings
        self.metering = Metering()
        self.started = int(time.time())
        self.recorder: Recorder | None = None
        """Stores what is captured; None where nothing is."""
        self.bookkeeper: Bookkeeper | None = None
        """Adds up what requests take; None where no account is kept."""
        self.refuse: Callable[[str, str | None], bool] | None = None
        """Told the id of a request whose answer somebody says is wrong, and the key that says so (None: an admin's); says whether it would
        have been given again. None where none is."""
        self.models: dict[str, Served] = {}
        self._posts: dict[str, Post] = {}
        self._open: dict[int, Post] = {}
        for model in models:
            if model.name in self.models:
                raise InputError("two bundles have the same name", value=model.name, todo="Rename one of the folders, or serve them apart.")
            self._take(model)
        self.metering.registry.register(Memory(self.models.values()))
        self.metering.registry.register(Drift(self.models.values()))

    @property
    def ready(self) -> bool:
        """Whether every bundle would answer now."""
        return all(post.batcher.alive for post in self._posts.values())

    def engines(self) -> dict[int, tuple[str, ...]]:
        """The processes that engines run in, by their numbers, each with the names of the bundles whose weights lie there."""
        found: dict[int, tuple[str, ...]] = {}
        for model in list(self.models.values()):
            if (pid := model.pid) is not None:
                found[pid] = (*found.get(pid, ()), model.name)
        return found

    def find(self, name: str | None) -> Served:
        """The bundle of a name; without one, the only bundle there is. Raises RequestError, 404 for a name that nothing has."""
        if name is None:
            if len(self._posts) == 1:
                return next(iter(self._posts.values())).held().model
            raise RequestError("the request names no model", value="model", todo=f"Name one of: {self._names()}.", param="model")
        if name in self._posts:
            return self._posts[name].held().model
        close = difflib.get_close_matches(name[:200], self.models, n=1)
        meant = f"Did you mean {close[0]!r}? " if close else ""
        raise RequestError(
            "no model has this name",
            value=name,
            todo=f"{meant}Served here: {self._names()}.",
            status=404,
            code="model_not_found",
            param="model",
        )

    async def ask(self, model: Served, texts: Sequence[Text], request: Request, param: str) -> list[Reply]:
        """Replies of a bundle to texts, in their order. `param` is the field of the request that they came in, for errors.

        Raises RequestError: 422 for texts past the limits, and whatever the batcher raises, or the scribe of a model that has one.
        """
        self.check(model, texts, param)
        post = self._post(model)
        if post.scribe is not None:
            replies = await self._one_by_one(post.scribe, model, texts, request)
        else:
            replies = await self._run(post.batcher, texts, request)
        self.metering.answered(model.name, post.labels, replies)
        witness.saw(replies)
        said = [tokens(model.task.content(reply)) for reply in replies]
        slips.local(model.name, [tokens(joined(text)) for text in texts], said)
        return replies

    async def embed(self, model: Served, texts: Sequence[Text], request: Request, param: str) -> list[list[float]]:
        """Vectors of texts, in their order. Raises as `ask` does, and RequestError, 422, where the model has no vectors."""
        self.check(model, texts, param)
        replies = await self._run(self._post(model).embedder, texts, request)
        slips.local(model.name, [tokens(joined(text)) for text in texts], [])
        return [reply.output for reply in replies]

    def write(self, model: Served, sources: list[Source]) -> list[Sheet]:
        """Texts that a model writes, each to be read piece by piece and closed. Raises RequestError, 503, where too many wait."""
        scribe = self._post(model).scribe
        assert scribe is not None
        return scribe.begin(sources, self.settings.request_seconds)

    def wrote(self, model: Served, reply: Reply) -> None:
        """Count a text that was written to its end."""
        self.metering.answered(model.name, frozenset(), [reply])
        witness.saw([reply])
        slips.wrote(model.name, tokens(model.task.content(reply)), reply.piece.usage if reply.piece is not None else None)
        if reply.piece is not None and reply.piece.usage is not None:
            self.metering.wrote(model.name, reply.piece.usage)

    async def while_there(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """What some work gives. Raises RequestError, 499, and cancels the work, as soon as the client hangs up."""
        return await while_there(request.receive, b"", work)

    async def _run(self, batcher: Batcher, texts: Sequence[Text], request: Request) -> list[Reply]:
        return await batcher.ask(texts, self.settings.request_seconds, lambda: _gone(request))

    async def _one_by_one(self, scribe: Scribe, model: Served, texts: Sequence[Text], request: Request) -> list[Reply]:
        sources: list[Source] = [partial(_answered, model, text) for text in texts]
        sheets = scribe.begin(sources, self.settings.request_seconds)
        try:
            return [reply for (reply,) in await self.while_there(request, read(sheets))]
        finally:
            for sheet in sheets:
                sheet.close()

    def replace(self, model: Served) -> Post:
        """Put a model in the place of the one with its name, for all requests from now on. Returns the old one's post: it goes on answering
        the requests that hold it, until `retire`. Called in the event loop."""
        old = self._posts[model.name]
        self.metering.loaded.remove(model.name, old.model.id, old.model.task.name)
        self._take(model)
        return old

    async def retire(self, post: Post) -> None:
        """Close a post that was replaced, when no request holds it any more. None waits for a model longer than a request may take: what
        holds it after that waits for something else, and does not keep it."""
        await post.retire(self.settings.request_seconds + self.settings.drain_seconds)
        self._open.pop(id(post.model), None)

    async def close(self) -> None:
        """Answer what waits, then stop, and end the models."""
        posts = list(self._open.values())
        await asyncio.gather(*(post.drain() for post in posts))
        for post in posts:
            await post.end()

    def noted(self, model: Served, name: str, make: Callable[[Served], T]) -> T:
        """What somebody knows of a model by this name of theirs, made once and kept as long as the model is open; made anew for one that is
        not. Any thread may ask; where two do at once, one of two notes is kept."""
        post = self._open.get(id(model))
        if post is None or post.model is not model:
            return make(model)
        note: T = post.notes[name] if name in post.notes else post.notes.setdefault(name, make(model))
        return note

    def _take(self, model: Served) -> None:
        post = Post(model, self.settings, self.metering)
        self.models[model.name] = model
        self._posts[model.name] = self._open[id(model)] = post
        self.metering.waiting.labels(model.name).set_function(lambda: post.depth)
        self.metering.loaded.labels(model.name, model.id, model.task.name).set(1)

    def _post(self, model: Served) -> Post:
        post = self._open.get(id(model))
        if post is None:
            raise RequestError("this model was replaced", value=model.name, todo="Try again.", status=503, code="stopping")
        return post

    def check(self, model: Served, texts: Sequence[Text], param: str) -> None:
        """Raise RequestError, 422, for texts past the limits, or that the model cannot take."""
        pairs = takes_pairs(model)
        if not texts:
            raise RequestError("there is no text", value="0 texts", todo="Send at least one.", param=param)
        most = min(self.settings.max_inputs, self.settings.max_queue)
        if len(texts) > most:
            todo = f"Send at most {most} at a time."
            raise RequestError("there are too many texts", value=len(texts), todo=todo, code="too_many_inputs", param=param)
        for place, text in enumerate(texts):
            if isinstance(text, str) is pairs:
                what = "this model takes pairs of texts" if pairs else "this model takes single texts"
                todo = "Send [[first, second], ...] to /v1/classify." if pairs else "Send each as one text."
                raise RequestError(what, value=f"text {place + 1}", todo=todo, code="wrong_input", param=param)
            for piece in (text,) if isinstance(text, str) else text:
                self.check_text(piece, param if len(texts) == 1 else f"{param}.{place}")

    def check_text(self, text: str, param: str) -> None:
        """The same of one text."""
        if len(text) > self.settings.max_chars:
            todo = f"Send at most {self.settings.max_chars} characters."
            raise RequestError("the text is too long", value=f"{len(text)} characters", todo=todo, code="text_too_long", param=param)
        if not text.strip():
            raise RequestError("the text is empty", value=f"{len(text)} characters", todo="Send some text.", code="empty_text", param=param)
        if not text.isascii() and _broken(text):
            raise RequestError(
                "the text is not valid Unicode", value="a lone surrogate", todo="Send it in UTF-8.", code="invalid_unicode", param=param
            )

    def _names(self) -> str:
        return ", ".join(sorted(self.models))


def _answered(model: Served, text: Text) -> Iterator[Reply]:
    """A whole answer, in one piece."""
    yield from model.predict([text])


async def _gone(request: Request) -> None:
    """Returns when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _broken(text: str) -> bool:
    """Whether a text holds half a surrogate pair, which JSON escapes can spell and no tokenizer takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
