"""The cache before the way out: an answer that was given before, to the same scope, is given again; what is new is asked, and kept.

It stands behind the guard of what leaves: a request that may not leave is not answered from here either, and what was masked is masked in
all that is kept. Whatever fails here, the request goes upstream as it would have without.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from smidgen.gateway.answer_reading import Usage
from smidgen.gateway.cache import answer as answers
from smidgen.gateway.cache.directives import Directives, directives
from smidgen.gateway.cache.memory import Entry, Memory
from smidgen.gateway.cache.question import Naming, Question
from smidgen.gateway.cache.sharing import Sharing, scope
from smidgen.gateway.cache.suitable import CACHED, UNSUITED, unsuitable
from smidgen.gateway.crossing import Headers, plain
from smidgen.gateway.leaving import read_once
from smidgen.server import cache_meter
from smidgen.server.cache_meter import CacheMeter
from smidgen.server.escalation import Escalation
from smidgen.server.events import HEADERS
from smidgen.server.ids import Asker
from smidgen.server.prices import Prices
from smidgen.server.upstream import Call, Upstream

if TYPE_CHECKING:
    from smidgen.gateway.cache.memory import Vector
    from smidgen.server.finding import Finding

FROM_CACHE = "from the cache"
_NAME = "smidgen"
"""This cache in the header `Cache-Status` (RFC 9211)."""


@dataclass(frozen=True, slots=True)
class Given:
    """How a request was answered: by whom, the response, and what its headers say of the cache. `cached`: from there; `saved_usd`: what it
    would have cost, `took`: how much of it there was, where that is known."""

    upstream: Upstream
    response: httpx.Response
    said: Headers = field(default_factory=list)
    cached: bool = False
    saved_usd: float | None = None
    took: Usage | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that the cache looks at."""

    question: Question
    body: Mapping[str, Any]
    wants: Directives

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def counted(self) -> bool:
        """Whether the client is to be told what the answer took."""
        options = self.body.get("stream_options")
        return not self.streamed or (isinstance(options, Mapping) and bool(options.get("include_usage")))


class Caching:
    """See above. Asked in the event loop alone.

    Args:
        escalation: who is asked what is not kept.
        memory: what is kept.
        meter: counts.
        sharing: who shares answers.
        drawn: whether answers are kept that a request asks to be drawn.
        finding: finds near texts; None: only the same request gets an answer again.
        clock: seconds, never going back.
        prices: of models; by default those of the list.
    """

    def __init__(
        self,
        escalation: Escalation,
        memory: Memory,
        meter: CacheMeter,
        sharing: Sharing,
        drawn: bool = False,
        finding: Finding | None = None,
        clock: Callable[[], float] = time.monotonic,
        prices: Prices | None = None,
    ) -> None:
        self._escalation, self._memory, self._meter, self._finding = escalation, memory, meter, finding
        self._sharing, self._drawn, self._clock = sharing, drawn, clock
        self._naming, self._prices = Naming(), prices or Prices()
        self._first = escalation.upstreams[0]

    def close(self) -> None:
        """Let go what is under way."""
        if self._finding is not None:
            self._finding.close()

    def refuse(self, request: str, key: str | None) -> bool:
        """Give the answer that the request with this id has to nobody else: somebody says that it is wrong. Whether it was kept, and the
        request is of this key; None for whoever asked."""
        known = self._memory.refuse(request, key)
        if known:
            self._meter.refused.inc()
        return known

    async def ask(self, call: Call, request: Asker) -> Given:
        """The answer, from here or from an upstream, to this request; its response must be closed. Raises Unreachable."""
        leaving = await self._escalation.guard.leaving(call)
        asked = self._looked_at(call, leaving.call)
        if isinstance(asked, str):
            self._meter.requests.labels(asked).inc()
            upstream, response = await self._escalation.sent(leaving.call)
            return Given(upstream, leaving.back(response), _status(f"fwd=bypass; detail={asked}"))
        found = await self._found(asked) if asked.wants.reuse else None
        if found is not None:
            entry, likeness = found
            self._memory.given(request.id, entry, request.key)
            given = self._again(asked, leaving.call, entry, likeness)
            return replace(given, response=leaving.back(given.response))
        self._meter.requests.labels(cache_meter.MISS if asked.wants.reuse else cache_meter.RENEWED).inc()
        # What comes encoded cannot be read here, and so not be kept.
        others = [(name, value) for name, value in leaving.call.headers if name.lower() != b"accept-encoding"]
        readable = replace(leaving.call, headers=[*others, (b"accept-encoding", b"identity")])
        upstream, response = await self._escalation.sent(readable)
        if upstream is self._first:
            self._watch(asked.question, leaving.call, response, request)
        else:
            # It would outlive the failure of the first, which answers better, or it would not be the first.
            self._meter.answers.labels(cache_meter.SECOND).inc()
        return Given(upstream, leaving.back(response), _status("fwd=miss" if asked.wants.reuse else "fwd=request"))

    def _looked_at(self, call: Call, leaving: Call) -> _Asked | str:
        """The request as the cache knows it; else why it is none of its business, in a word."""
        wants = directives(call.headers)
        if not wants.store:
            return cache_meter.REFUSED
        came = read_once(call.body) if isinstance(call.body, bytes) else None
        leaves = read_once(leaving.body) if isinstance(leaving.body, bytes) else None
        coded = any(name.lower() == b"content-encoding" for name, _ in call.headers)
        path = _path(leaving)
        if came is None or leaves is None or coded or path not in CACHED:
            return UNSUITED
        unsuited = unsuitable(path, leaves, self._drawn)
        model = self._first.model if call.renamed else leaves.get("model")
        if unsuited or not isinstance(model, str):
            return unsuited or UNSUITED
        whose = scope(self._sharing, call.headers, came, self._first.takes_others_keys)
        if whose is None:
            return cache_meter.UNNAMED
        try:
            question = self._naming.question(whose, path, leaving.query, leaving.headers, leaves, model)
        except RecursionError:  # it could just be read, and is nested too deeply to be written again
            return UNSUITED
        return _Asked(question, leaves, wants)

    async def _found(self, asked: _Asked) -> tuple[Entry, float | None] | None:
        """A kept answer, and how near its text is; None for the very same request."""
        entry = self._memory.exact(asked.question, self._clock(), asked.wants.fresh)
        if entry is not None:
            return (entry, None) if _serves(asked, entry) else None
        if self._finding is None:
            return None
        others = [one for one in self._memory.alike(asked.question, self._clock(), asked.wants.fresh) if _serves(asked, one)]
        near = await self._finding.nearest(asked.question.text, others) if others else None
        if near is None:
            return None
        self._memory.used(near[0])
        return near

    def _again(self, asked: _Asked, call: Call, entry: Entry, likeness: float | None) -> Given:
        """A kept answer as a response: an object or a stream, as it is asked for now."""
        kept, age = entry.answer, max(0, int(self._clock() - entry.born))
        how = cache_meter.EXACT if likeness is None else f"{cache_meter.SIMILAR} {likeness:.3f}"
        self._meter.requests.labels(how.partition(" ")[0]).inc()
        facts: dict[str, Any] = {"answered_by": "cache", "certificate": None, "uncertified": FROM_CACHE, "cached": how, "age": age}
        saved = self._saved(asked, call, kept.usage)
        headers: Headers = [(b"age", b"%d" % age), (b"x-smidgen-cached", plain(how)), *_status(f"hit; detail={how.partition(' ')[0]}")]
        usd: float | None = None
        if saved is not None:
            facts["saved"], usd = saved, float(saved["usd"])
            headers.append((b"x-smidgen-saved", plain(f"{usd:.9f}")))
            self._meter.saved.inc(usd)
        path = _path(call)
        if asked.streamed:
            body, kind = answers.events(path, kept, facts, asked.counted), answers.EVENTS
        else:
            body, kind = answers.whole(kept, facts), "application/json"
        sent = {"content-type": kind, **(HEADERS if asked.streamed else {"content-length": str(len(body))})}
        response = httpx.Response(200, headers=sent, stream=_Bytes(body))
        return Given(self._first, response, headers, cached=True, saved_usd=usd, took=kept.usage)

    def _saved(self, asked: _Asked, call: Call, usage: Usage | None) -> dict[str, Any] | None:
        """What it would have cost; None where the model has no price, or nobody said how much the answer took."""
        price = self._prices.of(self._first.model if call.renamed else str(asked.body.get("model")))
        return price.counted(usage) if price is not None and usage is not None else None

    def _watch(self, question: Question, call: Call, response: httpx.Response, request: Asker) -> None:
        """Keep the answer, if it turns out to be one, when it has passed to its end."""
        if response.status_code != 200 or response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            self._meter.answers.labels(cache_meter.ODD).inc()
            return
        if not directives((name, value) for name, value in response.headers.raw if name.lower() == b"cache-control").store:
            self._meter.answers.labels(cache_meter.ODD).inc()
            return
        assert isinstance(response.stream, httpx.AsyncByteStream)
        kind = response.headers.get("content-type", "")

        def over(body: bytes | None) -> None:
            self._keep(question, _path(call), kind, body, request)

        response.stream = _Passing(response.stream, self._memory.longest, over)

    def _keep(self, question: Question, path: str, kind: str, body: bytes | None, request: Asker) -> None:
        try:
            kept = answers.kept(path, kind, body) if body is not None else None
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
            kept = None  # an answer may have any shape; that which is not understood is passed on all the same
        if kept is None:
            self._meter.answers.labels(cache_meter.LARGE if body is None else cache_meter.ODD).inc()
            return
        if self._finding is None:
            question = replace(question, template=None, text="")  # what was asked is not needed any more
        entry = Entry(question, kept, self._clock())
        self._memory.forget(entry.born)
        fits = self._memory.put(entry)
        if fits:
            self._memory.given(request.id, entry, request.key)
        self._meter.answers.labels(cache_meter.KEPT if fits else cache_meter.LARGE).inc()
        if fits and self._finding is not None and question.template is not None:
            self._finding.place(question.text, lambda vector: self._place(entry, vector))

    def _place(self, entry: Entry, vector: Vector) -> None:
        if self._memory.placed(entry, vector):
            self._meter.placed.inc()


class _Bytes(httpx.AsyncByteStream):
    """A body that is there."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _Passing(httpx.AsyncByteStream):
    """A response's bytes as they are. When they have come to their end, `over` has all of them; None where they are more than `most`. Of
    what breaks off it hears nothing."""

    def __init__(self, stream: httpx.AsyncByteStream, most: int, over: Callable[[bytes | None], None]) -> None:
        self._stream, self._most, self._over = stream, most, over

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: list[bytes] = []
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size <= self._most:
                pieces.append(piece)
            else:
                pieces.clear()
            yield piece
        self._over(b"".join(pieces) if size <= self._most else None)

    async def aclose(self) -> None:
        await self._stream.aclose()


def _serves(asked: _Asked, entry: Entry) -> bool:
    """Whether the answer has all that is asked of it: nobody makes up what it took."""
    return entry.answer.sized or not asked.counted


def _path(call: Call) -> str:
    return "/v1" + call.tail.decode("latin-1")


def _status(said: str) -> Headers:
    return [(b"cache-status", plain(f"{_NAME}; {said}"))]
