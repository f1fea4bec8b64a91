"""A model at its post: the queues before it, and how many requests hold it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from smidgen.server.batching import Batcher
from smidgen.server.metering import Metering
from smidgen.server.scribe import Scribe
from smidgen.server.served import Identity, Served, Vectors, identity
from smidgen.server.settings import ServeSettings


class Holds:
    """The posts that one request holds, by the names of their models; none once it is over, whoever still has its context: a connection
    that it opened, or work that it left behind."""

    def __init__(self) -> None:
        self.posts: dict[str, Post] = {}
        self.over = False

    def end(self) -> None:
        """The request is over."""
        self.over = True
        for post in self.posts.values():
            post.let_go()
        self.posts.clear()


_held: ContextVar[Holds | None] = ContextVar("smidgen_held_posts", default=None)


class Post:
    """What stands before one model.

    Attributes:
        model: the model.
        batcher: the queue of texts before it.
        embedder: the same for vectors; its thread starts with the first one that is asked for.
        scribe: the line before a model that takes each text for itself, in place of the batcher; None before one that does not.
        labels: all that it can answer with, where those are labels.
        notes: what others know of this model, by their own names for it. It goes with the post.
        unused: set while no request holds it.
        ended: whether it takes on nothing more.
    """

    def __init__(self, model: Served, settings: ServeSettings, metering: Metering) -> None:
        self.model = model
        self.batcher = Batcher(model, settings.max_batch, settings.max_queue, metering.batches.labels(model.name).observe)
        self.embedder = Batcher(Vectors(model), settings.max_batch, settings.max_queue)
        self.scribe = Scribe(model.name, model.slots, settings.max_queue) if model.slots else None
        named = [*model.form.get("labels", ()), model.form.get("unknown")]
        self.labels = frozenset(label for label in named if isinstance(label, str))
        self.notes: dict[str, Any] = {}
        self.unused = asyncio.Event()
        self.unused.set()
        self.ended = False
        self._users = 0

    @property
    def depth(self) -> int:
        """Texts taken on and not yet answered."""
        return self.batcher.depth + (self.scribe.depth if self.scribe else 0)

    def held(self) -> Post:
        """The post that answers this request to the model's name: the first that it met, however often the model is replaced meanwhile.
        Called in the event loop."""
        holds = _held.get()
        if holds is None or holds.over:
            return self
        name = self.model.name
        if name not in holds.posts:
            holds.posts[name] = self
            self._users += 1
            self.unused.clear()
        return holds.posts[name]

    def let_go(self) -> None:
        """A request that held it is over."""
        self._users -= 1
        if not self._users:
            self.unused.set()

    async def drain(self) -> None:
        """Answer what waits, and take on nothing more."""
        self.ended = True
        await asyncio.gather(*(asyncio.to_thread(batcher.close) for batcher in (self.batcher, self.embedder)))

    async def end(self) -> None:
        """End the model, and the threads that it answered in."""
        await asyncio.to_thread(self.model.close)
        if self.scribe is not None:
            self.scribe.close()

    async def retire(self, seconds: float) -> None:
        """Drain and end when no request holds it any more, or after so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.unused.wait()
        await self.drain()
        await self.end()


class Holding:
    """A door: one request is answered by one model from its beginning to the last byte, and that model stays until then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, and note which posts it meets."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        holds = Holds()
        token = _held.set(holds)
        try:
            await self._app(scope, receive, send)
        finally:
            _held.reset(token)
            holds.end()


def bind_anew() -> None:
    """Let go of those of this request's models that have ended: it waited for something else for longer than a replaced model is kept.
    Only for a request of which none has answered anything yet, and none is to answer under its certificate: the next to answer is
    another one."""
    holds = _held.get()
    posts = holds.posts if holds is not None else {}
    for name in [name for name, post in posts.items() if post.ended]:
        posts.pop(name).let_go()


def at_hand(models: Mapping[str, Served]) -> dict[str, Identity]:
    """What these models are to the request at hand, by their names: those that it holds, and of the others those of now."""
    holds = _held.get()
    posts = holds.posts if holds is not None else {}
    return {name: identity(posts[name].model if name in posts else model) for name, model in models.items()}
