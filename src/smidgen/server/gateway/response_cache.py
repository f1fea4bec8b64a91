"""The response cache: repeat an earlier answer for the same scope, or ask and keep the new answer.

It is behind the privacy border: a request that may not be sent gets no cached answer either, and everything in the cache is masked. If
anything fails here, the request goes upstream.

With `--cache semantic`, a similar text also gets an earlier answer. The search runs in a separate thread, with a short queue and a short
timeout.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import numpy as np
from prometheus_client import CollectorRegistry

from smidgen.core.errors import InputError
from smidgen.gateway.answer_reading import AnswerUsage
from smidgen.gateway.cache import (
    CACHED_PATHS,
    EVENTS,
    UNSUITED,
    AnswerCache,
    CacheDirectives,
    CacheEntry,
    CacheKey,
    CacheKeys,
    CacheLimits,
    Sharing,
    answer_events,
    cache_directives,
    cache_scope,
    cacheable_answer,
    whole_answer,
    why_uncacheable,
)
from smidgen.gateway.headers import Headers, header_text
from smidgen.server.gateway.prices import UpstreamPrices, upstream_prices
from smidgen.server.gateway.upstream import FROM_CACHE, Upstream, UpstreamAnswer, UpstreamAnswerer, UpstreamCall
from smidgen.server.openai.answers import HEADERS
from smidgen.server.ops import prometheus
from smidgen.server.ops.prometheus import CacheMetrics
from smidgen.server.request import RequestBody, RequestIdentity
from smidgen.server.settings import ServeSettings
from smidgen.text.meaningful_words import differ

if TYPE_CHECKING:
    from smidgen.gateway.cache import Vector

    Likeness = Callable[[str], Vector | None]


_CACHE_NAME = "smidgen"
"""Name of this cache in the header `Cache-Status` (RFC 9211)."""


@dataclass(frozen=True, slots=True)
class _CacheRequest:
    """A call that the cache handles: its key, the body that is sent, and the cache directives."""

    question: CacheKey
    body: Mapping[str, Any]
    wants: CacheDirectives
    identity: RequestIdentity

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def counted(self) -> bool:
        """True if the client wants to know the answer's usage."""
        options = self.body.get("stream_options")
        return not self.streamed or (isinstance(options, Mapping) and bool(options.get("include_usage")))


class ResponseCache:
    """The cache of responses. For use in the event loop only.

    Args:
        answer: answers requests that are not in the cache.
        first: the upstream whose answers are kept.
        memory: the kept answers.
        metrics: counters.
        sharing: which clients share answers.
        drawn: whether answers to requests with random sampling are kept.
        similar_texts: finds similar texts; None: only equal requests get an earlier answer.
        clock: monotonic seconds.
        prices: of models; default: the price list.
    """

    def __init__(
        self,
        answer: UpstreamAnswerer,
        first: Upstream,
        memory: AnswerCache,
        metrics: CacheMetrics,
        sharing: Sharing,
        drawn: bool = False,
        similar_texts: SimilarTexts | None = None,
        clock: Callable[[], float] = time.monotonic,
        prices: UpstreamPrices | None = None,
    ) -> None:
        self._answer, self._first, self._memory, self._metrics, self._similar_texts = answer, first, memory, metrics, similar_texts
        self._sharing, self._drawn, self._clock = sharing, drawn, clock
        self._naming, self._prices = CacheKeys(), prices or UpstreamPrices()

    def close(self) -> None:
        """Cancel running searches."""
        if self._similar_texts is not None:
            self._similar_texts.close()

    def refuse(self, request: str, key: str | None) -> bool:
        """Drop the answer that a request got, because a client says that it is wrong. Returns True if it was in the cache.

        The request must be of this key; None for any.
        """
        known = self._memory.refuse(request, key)
        if known:
            self._metrics.refused.inc()
        return known

    async def __call__(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer, from the cache or from an upstream. Raises Unreachable."""
        if call.method != "POST" or call.path not in CACHED_PATHS:
            return await self._answer(call)
        asked = self._looked_at(call)
        if isinstance(asked, str):
            self._metrics.requests.labels(asked).inc()
            return replace(await self._answer(call), said=_status(f"fwd=bypass; detail={asked}"))
        found = await self._found(asked) if asked.wants.reuse else None
        if found is not None:
            entry, likeness = found
            self._memory.given(asked.identity.id, entry, asked.identity.key)
            return self._again(asked, call, entry, likeness)
        self._metrics.requests.labels(prometheus.MISS if asked.wants.reuse else prometheus.RENEWED).inc()
        # A compressed answer cannot be read here, and so not be kept.
        others = [(name, value) for name, value in call.headers if name.lower() != b"accept-encoding"]
        answer = await self._answer(replace(call, headers=[*others, (b"accept-encoding", b"identity")]))
        if answer.upstream is self._first:
            self._watch(asked, call, answer.response)
        else:
            # An answer of a later upstream would outlive the failure of the first, which is preferred.
            self._metrics.answers.labels(prometheus.SECOND).inc()
        return replace(answer, said=_status("fwd=miss" if asked.wants.reuse else "fwd=request"))

    def _looked_at(self, call: UpstreamCall) -> _CacheRequest | str:
        """Return the call's cache request, or a word for why the cache ignores it. The scope comes from the unmasked call."""
        client = call.came or call
        wants = cache_directives(client.headers)
        if not wants.store:
            return prometheus.REFUSED
        came = client.body.unambiguous if isinstance(client.body, RequestBody) else None
        leaves = call.body.unambiguous if isinstance(call.body, RequestBody) else None
        coded = any(name.lower() == b"content-encoding" for name, _ in client.headers)
        if came is None or leaves is None or coded or call.identity is None:
            return UNSUITED
        unsuited = why_uncacheable(call.path, leaves, self._drawn)
        model = self._first.model if call.renamed else leaves.get("model")
        if unsuited or not isinstance(model, str):
            return unsuited or UNSUITED
        whose = cache_scope(self._sharing, client.headers, came, self._first.takes_others_keys)
        if whose is None:
            return prometheus.UNNAMED
        try:
            question = self._naming.question(whose, call.path, call.query, call.headers, leaves, model)
        except RecursionError:  # nested too deeply to be serialised
            return UNSUITED
        return _CacheRequest(question, leaves, wants, call.identity)

    async def _found(self, asked: _CacheRequest) -> tuple[CacheEntry, float | None] | None:
        """Return a kept answer and the similarity of its text; None for an equal request."""
        entry = self._memory.exact(asked.question, self._clock(), asked.wants.fresh)
        if entry is not None:
            return (entry, None) if _serves(asked, entry) else None
        if self._similar_texts is None:
            return None
        others = [one for one in self._memory.alike(asked.question, self._clock(), asked.wants.fresh) if _serves(asked, one)]
        near = await self._similar_texts.nearest(asked.question.text, others) if others else None
        if near is None:
            return None
        self._memory.used(near[0])
        return near

    def _again(self, asked: _CacheRequest, call: UpstreamCall, entry: CacheEntry, likeness: float | None) -> UpstreamAnswer:
        """Return a kept answer as a response: an object or a stream, as asked for now."""
        kept, age = entry.answer, max(0, int(self._clock() - entry.born))
        how = prometheus.EXACT if likeness is None else f"{prometheus.SIMILAR} {likeness:.3f}"
        self._metrics.requests.labels(how.partition(" ")[0]).inc()
        facts: dict[str, Any] = {"answered_by": "cache", "certificate": None, "uncertified": FROM_CACHE, "cached": how, "age": age}
        saved = self._saved(asked, call, kept.usage)
        headers: Headers = [
            (b"age", b"%d" % age),
            (b"x-smidgen-cached", header_text(how)),
            *_status(f"hit; detail={how.partition(' ')[0]}"),
        ]
        usd: float | None = None
        if saved is not None:
            facts["saved"], usd = saved, float(saved["usd"])
            headers.append((b"x-smidgen-saved", header_text(f"{usd:.9f}")))
            self._metrics.saved.inc(usd)
        path = call.path
        if asked.streamed:
            body, kind = answer_events(path, kept, facts, asked.counted), EVENTS
        else:
            body, kind = whole_answer(kept, facts), "application/json"
        sent = {"content-type": kind, **(HEADERS if asked.streamed else {"content-length": str(len(body))})}
        response = httpx.Response(200, headers=sent, stream=httpx.ByteStream(body))
        return UpstreamAnswer(self._first, response, headers, cached=True, saved_usd=usd, took=kept.usage)

    def _saved(self, asked: _CacheRequest, call: UpstreamCall, usage: AnswerUsage | None) -> dict[str, Any] | None:
        """Return what it would have cost; None if the price or the usage is unknown."""
        price = self._prices.of(self._first.model if call.renamed else str(asked.body.get("model")))
        return price.counted(usage) if price is not None and usage is not None else None

    def _watch(self, asked: _CacheRequest, call: UpstreamCall, response: httpx.Response) -> None:
        """Keep the response's answer when it has passed completely, if it is suitable."""
        if response.status_code != 200 or response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            self._metrics.answers.labels(prometheus.ODD).inc()
            return
        if not cache_directives((name, value) for name, value in response.headers.raw if name.lower() == b"cache-control").store:
            self._metrics.answers.labels(prometheus.ODD).inc()
            return
        assert isinstance(response.stream, httpx.AsyncByteStream)
        kind = response.headers.get("content-type", "")

        def over(body: bytes | None) -> None:
            self._keep(asked, call.path, kind, body)

        response.stream = _KeptBody(response.stream, self._memory.longest, over)

    def _keep(self, asked: _CacheRequest, path: str, kind: str, body: bytes | None) -> None:
        try:
            kept = cacheable_answer(path, kind, body) if body is not None else None
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
            kept = None  # an answer may have any shape; an unknown one is only passed on
        if kept is None:
            self._metrics.answers.labels(prometheus.LARGE if body is None else prometheus.ODD).inc()
            return
        question = asked.question
        if self._similar_texts is None:
            question = replace(question, template=None, text="")  # the request's text is no longer needed
        entry = CacheEntry(question, kept, self._clock())
        self._memory.forget(entry.born)
        fits = self._memory.put(entry)
        if fits:
            self._memory.given(asked.identity.id, entry, asked.identity.key)
        self._metrics.answers.labels(prometheus.KEPT if fits else prometheus.LARGE).inc()
        if fits and self._similar_texts is not None and question.template is not None:
            self._similar_texts.place(question.text, lambda vector: self._place(entry, vector))

    def _place(self, entry: CacheEntry, vector: Vector) -> None:
        if self._memory.set_vector(entry, vector):
            self._metrics.placed.inc()


class _KeptBody(httpx.AsyncByteStream):
    """Passes a response's bytes on. At the end, `over` gets all of them, or None if they exceed `most`. Not called if it breaks off."""

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


def _serves(asked: _CacheRequest, entry: CacheEntry) -> bool:
    """Return True if a kept answer has everything asked for: its usage cannot be made up."""
    return entry.answer.sized or not asked.counted


def _status(said: str) -> Headers:
    return [(b"cache-status", header_text(f"{_CACHE_NAME}; {said}"))]


T = TypeVar("T")

_SEARCH_SECONDS = 1.0
"""Longest search for a similar text. After that, the upstream is asked."""
_MOST_WAITING = 64
_REMEMBERED = 256
_MOST_CHARACTERS = 2_000
"""Longest text for a search: the encoder rarely reads a longer one completely."""
_MOST_READ = 64
"""Most candidates to compare word by word, the nearest first: comparing holds the interpreter's lock."""
_COMPLAIN_SECONDS = 60.0
_log = logging.getLogger("smidgen.server")


class SimilarTexts:
    """Finds cached requests with a similar text.

    Args:
        likeness: returns a text's unit vector; None for a text that it cannot read completely.
        least: lowest cosine similarity that counts.
        metrics: counts failed and late searches.
    """

    def __init__(self, likeness: Likeness, least: float, metrics: CacheMetrics) -> None:
        self._vector = lru_cache(_REMEMBERED)(likeness)
        self._least, self._metrics = least, metrics
        self._thread = ThreadPoolExecutor(1, "cache")
        self._placing: set[asyncio.Task[Vector | None]] = set()
        self._waiting = 0
        self._said = -_COMPLAIN_SECONDS

    def close(self) -> None:
        """Cancel waiting searches."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def nearest(self, text: str, entries: Sequence[CacheEntry]) -> tuple[CacheEntry, float] | None:
        """Return the most similar entry that says the same, with its similarity; None if there is none, or the search takes too long."""
        if len(text) > _MOST_CHARACTERS:
            return None
        if self._waiting >= _MOST_WAITING:
            self._metrics.searches.labels("late").inc()
            return None
        try:
            async with asyncio.timeout(_SEARCH_SECONDS):
                return await self._done(lambda: self._nearest(text, entries))
        except TimeoutError:
            self._metrics.searches.labels("late").inc()
        except Exception as error:  # noqa: BLE001 whatever fails here, the upstream can answer
            self._failed(error)
        return None

    def place(self, text: str, then: Callable[[Vector], None]) -> None:
        """Compute a text's vector later and pass it to `then`, in the event loop. Skipped if too many wait, or there is no vector."""
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

    def _nearest(self, text: str, entries: Sequence[CacheEntry]) -> tuple[CacheEntry, float] | None:
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
        self._metrics.searches.labels("failed").inc()
        if time.monotonic() - self._said >= _COMPLAIN_SECONDS:
            self._said = time.monotonic()
            _log.error("near texts cannot be found in the cache, and requests go upstream: %s", type(error).__name__)


_SHARE = 16
"""Largest share of the memory for one answer: one in this many."""
_LARGEST = 1_000_000


def check_cache(settings: ServeSettings) -> None:
    """Raise InputError for invalid cache settings."""
    said = sorted(name for name in settings.cache.given() if name != "cache")
    if not settings.cache.on and said:
        raise InputError("server.answers_are_not_cached", value=f"--{said[0].replace('_', '-')}")
    if settings.cache.on and not settings.fallback.urls:
        raise InputError("server.cache_is_given_but_no_fallback", value=f"--cache {settings.cache.mode}")


def open_cache(settings: ServeSettings, registry: CollectorRegistry, answer: UpstreamAnswerer, first: Upstream) -> ResponseCache:
    """Open an empty cache in front of `answer`. Raises InputError and MissingExtra if it needs the encoder, and that is not available."""
    total = int(settings.cache.mb * 1_000_000)
    memory = AnswerCache(CacheLimits(settings.cache.entries, total, min(total // _SHARE, _LARGEST), settings.cache.hours * 3600))
    metrics = CacheMetrics(registry, memory)
    similar_texts = _similar_texts(settings.cache.similarity, metrics) if settings.cache.mode == "semantic" else None
    return ResponseCache(
        answer,
        first,
        memory,
        metrics,
        settings.cache.scope,
        settings.cache.drawn,
        similar_texts,
        prices=upstream_prices(settings.fallback.models, settings.budget),
    )


def _similar_texts(least: float, metrics: CacheMetrics) -> SimilarTexts:
    from smidgen.flows.embedding import open_cache_encoder as likeness

    return SimilarTexts(likeness(), least, metrics)
