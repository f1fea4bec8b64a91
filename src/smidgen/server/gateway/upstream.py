"""One upstream: an OpenAI-compatible server behind the gateway, and the interface of guards on the way to it.

The key is only ever put into a header. Certificates are verified, and redirects are not followed, because the key would go with them.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias, TypeVar

import httpx

from smidgen.core.errors import RequestError, failure_reason, one_line
from smidgen.gateway import upstreams
from smidgen.gateway.answer_reading import AnswerUsage
from smidgen.gateway.headers import Headers, client_id, upstream_headers, without_secrets
from smidgen.gateway.json_edits import with_model
from smidgen.gateway.upstreams import UNKEYED_STATUSES, UNPAID_STATUS, Breakers, Requester
from smidgen.server.gateway import transport
from smidgen.server.request import RequestBody, RequestIdentity, StreamedBody, UsageRecord

_ANSWERS = frozenset({b"/chat/completions", b"/completions", b"/embeddings", b"/moderations"})
"""POST requests without side effects."""
_MOST_READ = 4096
_MOST_KEPT = 1_000_000
_TARGETS = 64
"""URLs to cache: most requests go to one of a few, and parsing one is slow."""
_LISTED_BYTES = 5_000_000
_LISTED_SECONDS = 5.0


@dataclass(frozen=True)
class UpstreamCall:
    """A request to pass on.

    Attributes:
        method, tail, query: as the client sent them; `tail` is the raw path after `/v1`.
        headers: of the client.
        body: of the client.
        renamed: whether the upstream's own model replaces the one in the body.
        replaceable: whether a local bundle answers if no upstream does. An upstream's error response then does not count as an answer.
        model: the model that the body names, as far as the gateway has read it.
        identity: the client's request; None for a request of the gateway's own.
        usage: records the cost; None without an account.
        came: the call as the client sent it, if this one is masked.
    """

    method: str
    tail: bytes
    query: bytes
    headers: Headers
    body: RequestBody | StreamedBody
    renamed: bool = False
    replaceable: bool = False
    model: str = ""
    identity: RequestIdentity | None = None
    usage: UsageRecord | None = None
    came: UpstreamCall | None = None

    @property
    def path(self) -> str:
        """The path as the client sent it."""
        return "/v1" + self.tail.decode("latin-1")

    @cached_property
    def requester(self) -> Requester:
        """The client and the model, which the breakers distinguish."""
        return Requester(client_id(self.headers), self.model)

    @property
    def repeatable(self) -> bool:
        """True if sending it twice has no further effect."""
        return self.method in ("GET", "HEAD", "PUT", "DELETE") or self.tail in _ANSWERS


@dataclass(frozen=True)
class UpstreamLimits:
    """Limits in seconds: to connect, to the next byte, to the end of an answer; and the most bytes of an answer."""

    connect: float
    read: float
    whole: float
    most: int


class Upstream:
    """A large model behind the gateway.

    Args:
        number: its place in the order, from 1.
        url: its checked base URL.
        model: its name for the model that requests escalate to.
        key: the secret; None for none.
        own_authorization: whether the client's `Authorization` may go to it, if there is no key.
        waits: limits.
        connections: most at a time.
        own_headers: whether all of a client's headers and query go to it; else only those that cannot be credentials.
    """

    def __init__(
        self,
        number: int,
        url: str,
        model: str,
        key: str | None,
        *,
        own_authorization: bool,
        waits: UpstreamLimits,
        connections: int,
        own_headers: bool = False,
    ) -> None:
        self.model, self.waits = model, waits
        self.breakers = Breakers()
        self._url, self._key, self._own, self._own_headers = httpx.URL(url), key, own_authorization, own_headers
        self.name = f"{number}:{self._url.host}"
        self._timeout = httpx.Timeout(waits.read, connect=waits.connect, pool=waits.connect).as_dict()
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=15.0)
        self._transport = transport.open_transport(limits, upstreams.is_local(url), self._url.scheme == "https")
        self._target = functools.lru_cache(maxsize=_TARGETS)(self._made)

    @property
    def takes_others_keys(self) -> bool:
        """True if clients' own keys go to it."""
        return self._own and self._key is None

    def refuses(self, status: int) -> bool:
        """Return True if a status refuses this server rather than the request: no credit left, or a key that is not the client's."""
        return status == UNPAID_STATUS or (status in UNKEYED_STATUSES and (self._key is not None or not self._own_headers))

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def send(self, call: UpstreamCall) -> httpx.Response:
        """Return the response as soon as its head is there. The caller must close it.

        Raises httpx.RequestError if there is none, RequestError, 400, for an invalid path.
        """
        flow, headers = _sent(call.body, self.model if call.renamed else ""), call.headers
        if isinstance(flow, bytes):
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        try:
            target = self._target(call.tail, call.query)
        except (ValueError, httpx.InvalidURL):
            raise RequestError("server.path_is_invalid", status=400, code="bad_path") from None
        crossing = upstream_headers(headers, self._key, own_authorization=self._own, own_headers=self._own_headers)
        request = httpx.Request(call.method, target, headers=crossing, content=flow)
        request.extensions["timeout"] = self._timeout
        # A head that comes byte by byte never exceeds the read timeout, so limit it as a whole. A streamed body has no such limit.
        most = 2 * self.waits.connect + 2 * self.waits.read if isinstance(flow, bytes) else None
        try:
            async with asyncio.timeout(most):
                response = await self._transport.handle_async_request(request)
        except TimeoutError:
            raise httpx.ReadTimeout("the head of the answer did not come to its end", request=request) from None
        response.request = request
        if fault := _fault(response):
            await response.aclose()
            raise httpx.RemoteProtocolError(fault, request=request)
        return response

    def _made(self, tail: bytes, query: bytes) -> httpx.URL:
        """Return the URL of a request. Raises ValueError or httpx.InvalidURL for an invalid path."""
        query = query if self._own_headers else without_secrets(query)
        return self._url.copy_with(raw_path=self._url.raw_path.rstrip(b"/") + tail + (b"?" + query if query else b""))

    async def models(self, headers: Headers, query: bytes) -> bytes:
        """Return the body of its list of models. Raises httpx.RequestError; ValueError if it refuses or the list is too long."""
        wanted = [(name, value) for name, value in headers if name != b"accept-encoding"]
        call = UpstreamCall("GET", b"/models", query, wanted, RequestBody(b""))
        response = await self.send(call)
        try:
            if response.status_code != 200:
                raise ValueError(f"HTTP {response.status_code}")
            return await _read(response.aiter_bytes(), _LISTED_BYTES)
        finally:
            await response.aclose()

    async def kept(self, response: httpx.Response) -> tuple[httpx.Response, str]:
        """Read a short response completely. Returns it unchanged, and the reason of its failure as `said` returns it.

        Raises httpx.RequestError, httpx.StreamError, ValueError or TimeoutError if it is too long, or does not end in time.
        """
        async with asyncio.timeout(_LISTED_SECONDS):
            body = await _read(response.aiter_raw(), _MOST_KEPT)
        one, other = (
            httpx.Response(response.status_code, headers=response.headers.raw, stream=httpx.ByteStream(body), request=response.request)
            for _ in range(2)
        )
        return one, await self.said(other)

    async def said(self, response: httpx.Response) -> str:
        """Return the reason that a failing response gives, shortened, and without the key if it repeats it."""
        try:
            async with asyncio.timeout(_LISTED_SECONDS):
                read = await _read(response.aiter_bytes(), _MOST_READ)
        except (httpx.RequestError, httpx.StreamError, ValueError, TimeoutError):
            return ""
        return failure_reason(read, self._key)

    def plain(self, text: str) -> str:
        """Return a text of this upstream so that a message may show it."""
        return one_line(text, self._key)


def _sent(body: RequestBody | StreamedBody, model: str) -> bytes | AsyncIterable[bytes]:
    """Return a body to send, with this model in it, if any."""
    if isinstance(body, StreamedBody):
        return body
    return with_model(body.raw, model) if model else body.raw


def _fault(response: httpx.Response) -> str:
    """Return the fault in a response's head that two servers may read differently; empty if there is none."""
    if not 200 <= response.status_code <= 599:
        return f"its status is {response.status_code}"
    names = [name.lower() for name, _ in response.headers.raw]
    if names.count(b"content-length") and names.count(b"transfer-encoding"):
        return "its head has a length and says that it comes in chunks"
    return "its head has two lengths" if names.count(b"content-length") > 1 else ""


async def _read(body: AsyncIterator[bytes], most: int) -> bytes:
    """Read a whole body. Raises ValueError if it is larger than `most`."""
    pieces, size = [], 0
    async for piece in body:
        size += len(piece)
        if size > most:
            raise ValueError(f"larger than {most} bytes")
        pieces.append(piece)
    return b"".join(pieces)


FROM_CACHE = "from the cache"
"""The mark of a cached answer."""


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """The answer to a call.

    Attributes:
        upstream: the upstream that gave it.
        response: its head, with the body still to be read. It must be closed.
        said: headers about the cache.
        cached: whether it is from the cache.
        saved_usd: the cost that the cache saved; None if unknown or nothing was saved.
        took: its usage, if known.
        wished: whether it is a stream with a usage that only the gateway asked for, which must be removed.
    """

    upstream: Upstream
    response: httpx.Response
    said: Headers = field(default_factory=list)
    cached: bool = False
    saved_usd: float | None = None
    took: AnswerUsage | None = None
    wished: bool = False


UpstreamAnswerer: TypeAlias = Callable[[UpstreamCall], Awaitable[UpstreamAnswer]]
"""Answers a call. Raises Unreachable if nobody does."""


T = TypeVar("T")


def unchanged(value: T) -> T:
    """Return the value itself."""
    return value


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A call to send. `back` restores its answer, `words_back` an upstream's error message."""

    call: UpstreamCall
    back: Callable[[httpx.Response], httpx.Response] = unchanged
    words_back: Callable[[str], str] = unchanged


class OutgoingGuard(Protocol):
    """Decides how a call is sent."""

    async def leaving(self, call: UpstreamCall) -> OutgoingCall:
        """Return the call to send. Raises Unreachable if it must not be sent."""
        ...

    def close(self) -> None:
        """Release resources."""
        ...


class NoGuard:
    """No guard: every call is sent unchanged."""

    async def leaving(self, call: UpstreamCall) -> OutgoingCall:
        """Return the call unchanged."""
        return OutgoingCall(call)

    def close(self) -> None:
        """Do nothing."""
