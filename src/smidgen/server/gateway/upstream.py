"""One upstream: an OpenAI-compatible server that requests are passed on to, and the guard of a request on its way there.

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
from smidgen.gateway.request_body import RequestBody, with_model
from smidgen.gateway.upstreams import UNKEYED_STATUSES, UNPAID_STATUS, Breakers, Requester
from smidgen.server.gateway import transport
from smidgen.server.http_request import RequestIdentity, StreamedBody, UsageRecord

_ANSWERS = frozenset({b"/chat/completions", b"/completions", b"/embeddings", b"/moderations"})
"""Posts that leave nothing behind."""
_MOST_READ = 4096
_MOST_KEPT = 1_000_000
_TARGETS = 64
"""URLs that are kept: most requests go to one of a few, and taking one apart takes long."""
_LISTED_BYTES = 5_000_000
_LISTED_SECONDS = 5.0


@dataclass(frozen=True)
class UpstreamCall:
    """A request to be passed on.

    Attributes:
        method, tail, query: as the client sent them; `tail` is the raw path behind `/v1`.
        headers: of the client.
        body: of the client.
        renamed: whether the model in the body is replaced by the upstream's own.
        replaceable: whether a bundle can answer if no upstream does: then an upstream's report of its failure is no answer.
        model: the model that the body names, as far as the gateway read it.
        identity: the client's request that it is for; None for one of the gateway's own.
        usage: takes its cost; None without an account.
        came: the call as the client sent it, if something is masked in this one.
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
        """The path as it was sent."""
        return "/v1" + self.tail.decode("latin-1")

    @cached_property
    def requester(self) -> Requester:
        """The client and the model, by which breakers are kept apart."""
        return Requester(client_id(self.headers), self.model)

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.method in ("GET", "HEAD", "PUT", "DELETE") or self.tail in _ANSWERS


@dataclass(frozen=True)
class UpstreamLimits:
    """Seconds: to connect, to the next byte, to the end of an answer; and the most bytes that an answer has."""

    connect: float
    read: float
    whole: float
    most: int


class Upstream:
    """A large model behind the gateway.

    Args:
        number: its place in the order, from 1.
        url: its base URL, checked.
        model: its name for the model that requests escalate to.
        key: the secret, or None.
        own_authorization: whether the client's `Authorization` may go to it, if there is no key.
        waits: time limits.
        connections: the most connections at a time.
        own_headers: whether all headers and the query of a client go to it; else only those that surely hold no credential.
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
        """Whether clients' own keys go to it."""
        return self._own and self._key is None

    def refuses(self, status: int) -> bool:
        """Whether it refuses this server rather than the request: out of credit, or a wrong key that is not the client's."""
        return status == UNPAID_STATUS or (status in UNKEYED_STATUSES and (self._key is not None or not self._own_headers))

    async def close(self) -> None:
        """Let the connections go."""
        await self._transport.aclose()

    async def send(self, call: UpstreamCall) -> httpx.Response:
        """The response as soon as its head is there; it must be closed. Raises httpx.RequestError where none comes; RequestError, 400, for
        an invalid path."""
        flow, headers = _sent(call.body, self.model if call.renamed else ""), call.headers
        if isinstance(flow, bytes):
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        try:
            target = self._target(call.tail, call.query)
        except (ValueError, httpx.InvalidURL):
            raise RequestError(
                "the path is none", value="the request", todo="Send it percent-encoded.", status=400, code="bad_path"
            ) from None
        crossing = upstream_headers(headers, self._key, own_authorization=self._own, own_headers=self._own_headers)
        request = httpx.Request(call.method, target, headers=crossing, content=flow)
        request.extensions["timeout"] = self._timeout
        # A head that comes a byte at a time is never late for the next byte. A body that flows takes its own time.
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
        """The URL of a request. Raises ValueError or httpx.InvalidURL for an invalid path."""
        query = query if self._own_headers else without_secrets(query)
        return self._url.copy_with(raw_path=self._url.raw_path.rstrip(b"/") + tail + (b"?" + query if query else b""))

    async def models(self, headers: Headers, query: bytes) -> bytes:
        """The upstream's list of models. Raises httpx.RequestError, or ValueError where it refuses or the list is too long."""
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
        """A short response read whole, its bytes unchanged, and the message of its failure as by `said`. Raises httpx.RequestError,
        httpx.StreamError, ValueError or TimeoutError where it is too long, or does not end in time."""
        async with asyncio.timeout(_LISTED_SECONDS):
            body = await _read(response.aiter_raw(), _MOST_KEPT)
        one, other = (
            httpx.Response(response.status_code, headers=response.headers.raw, stream=httpx.ByteStream(body), request=response.request)
            for _ in range(2)
        )
        return one, await self.said(other)

    async def said(self, response: httpx.Response) -> str:
        """The message of a failing response, short, and without the key in case it repeats it."""
        try:
            async with asyncio.timeout(_LISTED_SECONDS):
                read = await _read(response.aiter_bytes(), _MOST_READ)
        except (httpx.RequestError, httpx.StreamError, ValueError, TimeoutError):
            return ""
        return failure_reason(read, self._key)

    def plain(self, text: str) -> str:
        """A text of this upstream as a message may show it."""
        return one_line(text, self._key)


def _sent(body: RequestBody | StreamedBody, model: str) -> bytes | AsyncIterable[bytes]:
    """The body to send, with this model in it, if one is given."""
    if isinstance(body, StreamedBody):
        return body
    return with_model(body.raw, model) if model else body.raw


def _fault(response: httpx.Response) -> str:
    """The fault in the head of a response that two servers may read differently; empty without one."""
    if not 200 <= response.status_code <= 599:
        return f"its status is {response.status_code}"
    names = [name.lower() for name, _ in response.headers.raw]
    if names.count(b"content-length") and names.count(b"transfer-encoding"):
        return "its head has a length and says that it comes in chunks"
    return "its head has two lengths" if names.count(b"content-length") > 1 else ""


async def _read(body: AsyncIterator[bytes], most: int) -> bytes:
    """All of a body. Raises ValueError where it is larger."""
    pieces, size = [], 0
    async for piece in body:
        size += len(piece)
        if size > most:
            raise ValueError(f"larger than {most} bytes")
        pieces.append(piece)
    return b"".join(pieces)


FROM_CACHE = "from the cache"
"""The mark of such an answer."""


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """The answer to a call.

    Attributes:
        upstream: the upstream that answered.
        response: its head, with the body still to be read. It must be closed.
        said: the cache's headers.
        cached: whether it is from the cache.
        saved_usd: the cost that it would have had; None where that is unknown, or it was asked for.
        took: its usage, if known.
        wished: whether it is a stream with a usage that the gateway asked for and the client did not: it is to be taken out.
    """

    upstream: Upstream
    response: httpx.Response
    said: Headers = field(default_factory=list)
    cached: bool = False
    saved_usd: float | None = None
    took: AnswerUsage | None = None
    wished: bool = False


UpstreamAnswerer: TypeAlias = Callable[[UpstreamCall], Awaitable[UpstreamAnswer]]
"""Answers a call. Raises Unreachable where nobody does."""


T = TypeVar("T")


def unchanged(value: T) -> T:
    """The value itself."""
    return value


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A call as it leaves, how its answer comes back, and how words of an upstream about its failure do."""

    call: UpstreamCall
    back: Callable[[httpx.Response], httpx.Response] = unchanged
    words_back: Callable[[str], str] = unchanged


class OutgoingGuard(Protocol):
    """Decides how a call leaves."""

    async def leaving(self, call: UpstreamCall) -> OutgoingCall:
        """The call as it may leave. Raises Unreachable where it may not."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...


class NoGuard:
    """No guard: every request leaves unchanged."""

    async def leaving(self, call: UpstreamCall) -> OutgoingCall:
        """The call itself."""
        return OutgoingCall(call)

    def close(self) -> None:
        """Nothing is held."""
