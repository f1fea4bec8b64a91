"""A request: its parts, read once, its id, what is recorded while it is answered, and the limits on size, time and number.

One `HttpRequest` passes from layer to layer, and routes of faces use the body that was read already. `RequestMiddleware` makes it.
"""

from __future__ import annotations

import asyncio
import email.message
import hashlib
import json
import logging
import os
import re
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.core.errors import RequestError, SmidgenError
from smidgen.core.replies import Reply
from smidgen.gateway.headers import Headers, client_key, header_text
from smidgen.gateway.route import RoutingDecision
from smidgen.privacy.request_masking import read_once
from smidgen.server.errors import REMEDY, RESPONSES, failure
from smidgen.server.models import HeldModels, ServedBundle
from smidgen.server.ops.prometheus import ServerMetrics, TextUsage
from smidgen.store.usage_records import UsageTotals

OWN_ID_PREFIX = "req_"
"""Prefix of ids that this server assigns. A client's own id with this prefix is replaced."""
_KEY_DIGITS = 12
_RANDOM_BYTES = 12


def fresh_id() -> str:
    """Return a random name of 24 hexadecimal digits. Nobody can guess the next one, and so use it first or give feedback on it."""
    return secrets.token_bytes(_RANDOM_BYTES).hex()


def key_hash(headers: Headers) -> str:
    """Return the first digits of the SHA-256 of a request's key; empty without one. The key cannot be found from them."""
    key = client_key(headers)
    return hashlib.sha256(key).hexdigest()[:_KEY_DIGITS] if key else ""


def stored_id(id: str, key: str) -> str:
    """Return the id under which a request is stored: its own if this server assigned it, else `KEY/ID` with the hash of the client's key.

    So two clients may choose the same id. An id in that form stays unchanged.
    """
    return id if not key or id.startswith(OWN_ID_PREFIX) or "/" in id else f"{key}/{id}"


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """The id under which a request is stored, and the hash of its key."""

    id: str
    key: str


T = TypeVar("T")

CLIENT_GONE = 499
"""Status of a request whose client disconnected."""

MOST_HELD_BYTES = 1_000_000
"""Bodies announced as at most this large are buffered. JSON is buffered at any size, up to `--max-body-mb`."""


class RequestBody:
    """A body as bytes. Every reader of its object takes it from here, so that it is parsed once.

    Attributes:
        raw: the bytes as they came.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def json(self) -> dict[str, Any] | None:
        """The object in the body; None if the body is not an object. If a field occurs twice, the last one counts, but another reader may
        take the first: to be sure of the meaning, use `unambiguous`."""
        return json_object(self.raw)

    @cached_property
    def unambiguous(self) -> dict[str, Any] | None:
        """As `json`; None also if a field occurs twice."""
        return read_once(self.raw)

    @property
    def model(self) -> object:
        """The model in the body, as the client wrote it; None if there is none."""
        return (self.json or {}).get("model")


def json_object(body: bytes) -> dict[str, Any] | None:
    """The object in a body; None if the body is not an object."""
    try:
        found = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class StreamedBody:
    """A body that is passed on as it comes. It can be sent only once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.begun = False
        self.arrived = 0
        self.over = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun = True
        more = True
        while more:
            piece, more = await _next(self._receive)
            self.arrived += len(piece)
            if piece:
                yield piece
        self.over.set()


async def while_there(receive: Receive, body: RequestBody | StreamedBody | None, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of some work. Raises RequestError, 499, and cancels the work, as soon as the client disconnects."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive, body))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise _has_gone()
    finally:
        working.cancel()
        gone.cancel()


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _has_gone()
    return message.get("body", b""), message.get("more_body", False)


async def _gone(receive: Receive, body: RequestBody | StreamedBody | None) -> None:
    """Wait until the client disconnects, after its whole body came."""
    if isinstance(body, StreamedBody):
        await body.over.wait()
    await disconnected(receive)


async def disconnected(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _has_gone() -> RequestError:
    return RequestError("server.client_has_gone_with_request", status=CLIENT_GONE, code="client_gone")


_SCOPE_KEY = "smidgen.request"


class ReplyJudge(Protocol):
    """Decides whether a bundle's certificate covers a reply."""

    async def ruling(self, model: ServedBundle, reply: Reply) -> RoutingDecision:
        """Return the decision."""
        ...


class HttpRequest:
    """One HTTP request.

    Attributes:
        method, path, headers: as received; `sent_path` is the path as the client wrote it, `query` the part after it.
        id: its name in the reply, the log and the error.
        body: the body; None before it was read.
        arrived: bytes of the body that came, even if it is incomplete.
        receive: further messages of the client after the body; None before the body was read.
        usage: its usage record; None without an account.
        held: the models that answer it, if lines are served.
        judge: the gateway's certificates, for a face whose reply has several answers; None without a gateway.
        replies: the bundles' final replies, even if it escalated in the end.
        local_seconds, upstream_seconds: time that each took; None if it was not asked.
        saved_usd: what a cached answer would have cost; None if unknown or not cached.
    """

    def __init__(self, scope: Scope) -> None:
        self.method, self.path, self.headers = scope["method"], scope["path"], scope["headers"]
        self.sent_path, self.query = bytes(scope.get("raw_path", b"").partition(b"?")[0]), scope.get("query_string", b"")
        self.id = ""
        self.body: RequestBody | StreamedBody | None = None
        self.receive: Receive | None = None
        self._arrived = 0
        self.usage: UsageRecord | None = None
        self.held: HeldModels | None = None
        self.judge: ReplyJudge | None = None
        self.replies: list[Reply] = []
        self.local_seconds: float | None = None
        self.upstream_seconds: float | None = None
        self.saved_usd: float | None = None

    @cached_property
    def identity(self) -> RequestIdentity:
        """The id under which it is stored, and the hash of its key."""
        key = key_hash(self.headers)
        return RequestIdentity(stored_id(self.id, key), key)

    def header(self, name: bytes) -> bytes:
        """Return the value of a header; empty if missing."""
        return next((bytes(value) for key, value in self.headers if key == name), b"")

    @property
    def arrived(self) -> int:
        """Bytes of the body that came."""
        return self.body.arrived if isinstance(self.body, StreamedBody) else self._arrived

    @property
    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object; None if it is none, or was not read."""
        return self.body.json if isinstance(self.body, RequestBody) else None

    @property
    def model(self) -> object:
        """The model that a POST names, as the client wrote it; None without one."""
        return (self.json or {}).get("model") if self.method == "POST" else None

    async def read(self, receive: Receive) -> RequestBody:
        """Return the whole body, reading it on the first call. Raises RequestError, 499, if the client disconnects meanwhile."""
        if not isinstance(self.body, RequestBody):
            pieces = []
            more = True
            while more:
                piece, more = await _next(receive)
                self._arrived += len(piece)
                pieces.append(piece)
            self.body, self.receive = RequestBody(b"".join(pieces)), receive
        return self.body

    async def begin(self, receive: Receive, hold: bool) -> RequestBody | StreamedBody:
        """Return the body for passing upstream: buffered, so that it can be read and sent again, or, if it is large, streamed.

        `hold`: buffer it in any case. Raises as `read` does.
        """
        announced = self.header(b"content-length")
        small = not self.header(b"transfer-encoding") and (
            not announced or (announced.isdigit() and int(announced[:20]) <= MOST_HELD_BYTES)
        )
        if hold or small or self.header(b"content-type").startswith(b"application/json"):
            return await self.read(receive)
        self.body, self.receive = StreamedBody(receive), receive
        return self.body

    def end(self) -> None:
        """End the request: drop the reference to the client's connection, which refers back to this object."""
        self.receive = None

    def replayed(self) -> Receive:
        """Return a receive function that repeats the body that was read, and then continues."""
        body, receive = self.body, self.receive
        assert isinstance(body, RequestBody) and receive is not None
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body.raw, "more_body": False}

        return replay


def request_of(scope: Scope) -> HttpRequest:
    """Return the request of a scope: always the same object."""
    found = scope.get(_SCOPE_KEY)
    if not isinstance(found, HttpRequest):
        found = scope[_SCOPE_KEY] = HttpRequest(scope)
    return found


OTHER_MODEL = "(other)"
"""Stands for every model that is neither served, nor a fallback's, nor in the price list: clients may name any number of them."""
MOST_OF_ONE_ANSWER = 10**15
"""Largest value that one answer may add to a sum."""


@dataclass(slots=True)
class UsageRecord:
    """The usage of one request. A response that closes late may add to it after the request has ended.

    Attributes:
        day: day of arrival, UTC.
        bundle: the bundle that it is for; empty for none.
        request_tokens: estimated tokens that the large model would read; 0 if not needed.
        named: the model that it names, as the client wrote it; never stored.
        answered: whether a bundle answered it, even if that answer was not used.
        read, written: the bundle's tokens; `read_estimated`, `written_estimated`: the part of them that is estimated.
        avoided_tokens: tokens that the large model would have read and written if it had been asked instead; None if it would not have
            been.
        paid: the upstream's usage, in the matching fields of an account entry.
        late: receives upstream usage after the end; None before it.
    """

    day: str
    bundle: str = ""
    request_tokens: int = 0
    named: str = ""
    answered: bool = False
    read: int = 0
    written: int = 0
    read_estimated: int = 0
    written_estimated: int = 0
    avoided_tokens: tuple[int, int] | None = None
    paid: UsageTotals = field(default_factory=UsageTotals)
    late: Callable[[UsageTotals], None] | None = None

    def meant(self, bundle: str, named: object) -> None:
        """Record whom the request is for: a bundle, or else the model that it names."""
        self.bundle, self.named = bundle, named if isinstance(named, str) else ""

    def answered_texts(self, model: str, read: Sequence[int], written: Sequence[int]) -> None:
        """Record a bundle's answers to texts, with estimated sizes."""
        self._local(model, sum(read), sum(written), counted=False)

    def wrote_text(self, model: str, estimate: int, usage: TextUsage | None) -> None:
        """Record a text that a bundle wrote: `usage` as the bundle counted it, else an estimate, `said`."""
        if usage is not None:
            self._local(model, usage.prompt, usage.written, counted=True)
        else:
            self._local(model, 0, estimate, counted=False)

    def upstream(self, paid: UsageTotals) -> None:
        """Record an upstream's usage. It is bounded, because an upstream may report any number."""
        paid.bound(MOST_OF_ONE_ANSWER)
        if self.late is not None:
            self.late(paid)
        else:
            self.paid.add(paid)

    def _local(self, model: str, read: int, written: int, *, counted: bool) -> None:
        self.bundle, self.answered = self.bundle or model, True
        self.read += read
        self.written += written
        if not counted:
            self.read_estimated += read
            self.written_estimated += written


class _ReadRequest(Request):
    """A request whose body is read once, by the gateway or the face."""

    async def body(self) -> bytes:
        return (await request_of(self.scope).read(self.receive)).raw

    async def json(self) -> Any:
        body = await request_of(self.scope).read(self.receive)
        if body.json is None:  # not an object, or not UTF-8, which a face accepts
            found = await super().json()
            body.json = found if isinstance(found, dict) else None
            return found
        return body.json


class _ReadRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_ReadRequest(request.scope, request.receive))

        return handle


class KeylessRoute(_ReadRoute):
    """A route that needs no API key, such as one for visitors of a site. It checks by itself who may call it."""


def face_router(tag: str, *, keyless: bool = False) -> APIRouter:
    """Return an empty router. `tag`: heading of its routes in the API document; `keyless`: whether they need no API key."""
    return APIRouter(tags=[tag], responses=RESPONSES, route_class=KeylessRoute if keyless else _ReadRoute)


def takes_body_of(request: HttpRequest) -> bool:
    """Return True if a face reads the body of a request: FastAPI reads bodies declared as JSON."""
    kind = request.header(b"content-type")
    if kind == b"application/json":
        return True
    header = email.message.Message()
    header["content-type"] = kind.decode("latin-1")
    subtype = header.get_content_subtype()
    return bool(kind) and header.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


def face_request(request: Request) -> HttpRequest:
    """Return the request that a route was called with."""
    found = request_of(request.scope)
    if found.receive is None:
        found.receive = request.receive
    return found


_CLIENT_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_log = logging.getLogger("smidgen.server")
_access_log = logging.getLogger("smidgen.access")


class RequestMiddleware:
    """The outermost of the server's own layers.

    The request id is the client's `x-request-id` if that is plain and has no prefix of ours, else a new one. It is in the reply, the log
    and the error. The log has the route, never a query, a header or a body.
    """

    def __init__(self, app: ASGIApp, metering: ServerMetrics, access_log: bool = True) -> None:
        self._app = app
        self._metering = metering
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, whatever happens."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        request = request_of(scope)
        request.id = request_id.decode("ascii")
        status = 0

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id), (b"x-content-type-options", b"nosniff")]
                unsure = next((reply.facts["unsure"] for reply in request.replies if "unsure" in reply.facts), "")
                if unsure:
                    own.append((b"x-smidgen-unsure", header_text(unsure)))
                message["headers"] = [*message["headers"], *own]
            await send(message)

        self._metering.running.inc()
        try:
            await self._app(scope, receive, tagged)
        except asyncio.CancelledError:
            if not status:
                await failure(503, "The server is stopping. Try again.", "stopping")(scope, receive, tagged)
            raise
        except Exception as error:  # noqa: BLE001 the outermost layer: every client gets an answer
            _report(error, request_id.decode())
            if not status:
                message = f"The server failed. Its log has the reason, under the request id {request_id.decode()}."
                await failure(500, message, "internal_error")(scope, receive, tagged)
        finally:
            request.end()
            self._metering.running.dec()
            self._note(scope, status, time.perf_counter() - began, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: bytes) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metering.requests.labels(route, scope["method"] if route != "other" else "other", str(status)).inc()
        self._metering.seconds.labels(route).observe(seconds)
        if self._access_log:
            _access_log.info("%s %s %d %.1f ms %s", scope["method"][:10], route, status, seconds * 1000, request_id.decode())


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _CLIENT_ID.fullmatch(value) and not value.lower().startswith(OWN_ID_PREFIX.encode()):
            return bytes(value)
    return f"{OWN_ID_PREFIX}{fresh_id()}".encode()


def _report(error: Exception, request_id: str) -> None:
    """Log a failure and its place. Messages of foreign exceptions are left out, because they may quote a text."""
    cause = error.__cause__ if error.__cause__ is not None else error
    named = f"{type(cause).__name__}: {cause.what}" if isinstance(cause, SmidgenError) else type(cause).__name__
    if os.environ.get("SMIDGEN_DEBUG"):
        _log.error("%s failed", request_id, exc_info=error)
        return
    last = traceback.extract_tb(cause.__traceback__)[-3:]
    where = " < ".join(f"{frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})" for frame in reversed(last))
    _log.error("%s failed: %s at %s", request_id, named, where or "unknown")


OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
"""Paths without a key: they show whether the server runs and its API, and nothing about bundles or traffic."""
LEAST_RATE = 10_000
"""Bytes per second that allow a body to take longer than the time limit: a slow line may, but not a client that holds a place with single
bytes."""


class LimitsMiddleware:
    """Limits requests: 429 above `max_concurrent` requests, 413 above `max_body` bytes, 408 if a body is too slow.

    A body may take `seconds`, and one second more for each `LEAST_RATE` bytes received, but may not pause for `seconds`. Health and docs
    are always answered.
    """

    def __init__(self, app: ASGIApp, max_concurrent: int, max_body: int, seconds: float) -> None:
        self._app = app
        self._max_concurrent = max_concurrent
        self._max_body = max_body
        self._seconds = seconds
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
        elif self._running >= self._max_concurrent:
            message = f"There are too many requests at a time: {self._running}. Try again in a second."
            await failure(429, message, "too_many_requests")(scope, receive, send)
        elif _announced(scope) > self._max_body:
            await failure(413, f"{_too_large(self._max_body)}. {REMEDY[413]}", "body_too_large")(scope, receive, send)
        else:
            self._running += 1
            try:
                await self._app(scope, self._bounded(receive), send)
            finally:
                self._running -= 1

    def _bounded(self, receive: Receive) -> Receive:
        """Return a receive function that counts the bytes and the waiting time. Time in which the server does not read does not count.

        Bodies of unknown length are limited only here.
        """
        clock = asyncio.get_running_loop().time
        left = self._max_body
        waited = 0.0
        complete = False

        async def bounded() -> Message:
            nonlocal left, waited, complete
            if complete:
                return await receive()
            began, more = clock(), (self._max_body - left) / LEAST_RATE - waited
            try:
                async with asyncio.timeout(self._seconds + min(0.0, more)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The body did not arrive in time") from None
            waited += clock() - began
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if left < 0:
                    raise HTTPException(413, _too_large(self._max_body))
            return message

        return bounded


def _announced(scope: Scope) -> int:
    """Return the Content-Length; 0 if missing or invalid (uvicorn has then refused the request already)."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else 0
    return 0


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit / 1_000_000:g} MB"


class HeldModelsMiddleware:
    """Makes one model answer a request from beginning to end, and keeps that model open until then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record its models."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        holds = request_of(scope).held = HeldModels()
        try:
            await self._app(scope, receive, send)
        finally:
            holds.end()
