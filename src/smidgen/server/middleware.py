"""The middleware for every request: its id, access log, allowed Host headers, API keys, and limits on size, time and number."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import re
import time
import traceback
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.core.errors import SmidgenError
from smidgen.gateway.headers import header_text
from smidgen.server.errors import REMEDY, failure
from smidgen.server.http_request import OWN_ID_PREFIX, fresh_id, request_of
from smidgen.server.key_file import KeyFile
from smidgen.server.model_queues import HeldModels
from smidgen.server.ops.prometheus import ServerMetrics

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


LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class HostMiddleware:
    """Admits requests to these host names, with any port.

    A web page must not reach a loopback server through a host name that it points here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().encode("ascii", "replace") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 if the Host header is missing or has another name."""
        if scope["type"] == "http" and self._name(scope) not in self._names:
            response = failure(
                403,
                "This server does not answer to that host name. Call it as localhost, or start it with --allow-host.",
                "host_not_allowed",
            )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _name(scope: Scope) -> bytes:
        host: bytes = next((value for name, value in scope["headers"] if name == b"host"), b"").strip().lower()
        if host.startswith(b"["):
            return host.partition(b"]")[0] + b"]"
        return host.partition(b":")[0]


OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
"""Paths without a key: they show whether the server runs and its API, and nothing about bundles or traffic."""


_VISITOR_PATH = re.compile(r"/desk/(?:widget\.js|assets/[^/]+/[^/]+|[^/]+/frame|[^/]+/channels/[^/]+|[^/]+/conversations(?:/[^/]+){0,4})")
"""Paths of a desk's visitors: their pages have no key, and each conversation has a token of its own. Channels verify signatures."""


def is_open(path: str) -> bool:
    """Return True for a path without a key."""
    return path in OPEN_PATHS or _VISITOR_PATH.fullmatch(path) is not None


class KeyMiddleware:
    """Admits requests with one of the keys (`Authorization: Bearer KEY`).

    Every key is compared, in constant time, so the time reveals nothing about any of them.
    """

    def __init__(self, app: ASGIApp, keys: Iterable[str], file: KeyFile | None = None) -> None:
        self._app, self._file = app, file
        self._hashes = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 if the key is missing or wrong."""
        if scope["type"] == "http" and not is_open(scope["path"]) and not self._knows(scope):
            response = failure(401, "The API key is missing or wrong. Send it as: Authorization: Bearer KEY.", "invalid_api_key")
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        kept = self._file.hashes() if self._file is not None else ()
        return kept is None or _is_one_of(scope, [*self._hashes, *kept])


def bears_key(scope: Scope, keys: Iterable[str]) -> bool:
    """Return True if a request has one of these keys as its bearer token."""
    return _is_one_of(scope, [_digest(key) for key in keys])


def _is_one_of(scope: Scope, known: Iterable[bytes]) -> bool:
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, key = given.partition(b" ")
    if scheme.lower() != b"bearer":
        return False
    digest = hashlib.sha256(key.strip()).digest()
    return any([hmac.compare_digest(digest, one) for one in known])  # noqa: C419 a list: no early end


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8")).digest()


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
