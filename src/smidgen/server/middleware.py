"""The middleware of every request: its id and access log, the allowed Host headers, API keys, and limits on size, time and number."""

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
from smidgen.server.errors import REMEDY, failure
from smidgen.server.http_request import OWN_ID_PREFIX, fresh_id, request_of
from smidgen.server.model_queues import HeldModels
from smidgen.server.ops.prometheus import ServerMetrics

_CLIENT_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_log = logging.getLogger("smidgen.server")
_access_log = logging.getLogger("smidgen.access")


class RequestMiddleware:
    """Outermost of the server's own layers.

    The request id is the client's `x-request-id` where it sent a plain one that does not begin like ours, else a fresh one; it is in the
    reply, the log and the error.
    The log has the route, never a query, a header or a body.
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
                message["headers"] = [*message["headers"], (b"x-request-id", request_id), (b"x-content-type-options", b"nosniff")]
            await send(message)

        self._metering.running.inc()
        try:
            await self._app(scope, receive, tagged)
        except asyncio.CancelledError:
            if not status:
                await failure(503, "The server is stopping. Try again.", "stopping")(scope, receive, tagged)
            raise
        except Exception as error:  # noqa: BLE001 the one broad except of the server: no client is left without an answer
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
    """Log the kind and place of a failure. The messages of foreign exceptions may quote a text, so they are left out."""
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
    """Lets a request through that was sent to one of these names, with any port: a web page must not reach a loopback server through a name
    that it made point here (DNS rebinding)."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().encode("ascii", "replace") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 where the Host header is another name, or is missing."""
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
"""Paths that need no key: they tell whether the server lives and what it takes, and nothing about bundles or traffic."""


class KeyMiddleware:
    """Lets a request through that bears one of the keys (`Authorization: Bearer KEY`).

    Every key is compared, in constant time, so that the time taken tells nothing about any of them.
    """

    def __init__(self, app: ASGIApp, keys: Iterable[str]) -> None:
        self._app = app
        self._hashes = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 without a key or with a wrong one."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and not self._knows(scope):
            response = failure(401, "The API key is missing or wrong. Send it as: Authorization: Bearer KEY.", "invalid_api_key")
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        return _is_one_of(scope, self._hashes)


def bears_key(scope: Scope, keys: Iterable[str]) -> bool:
    """Whether a request bears one of these keys as its bearer token."""
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
"""Bytes a second that a body must come at, in the long run, to take longer than the seconds: a slow line, and no client that holds a place
with a byte now and then."""


class LimitsMiddleware:
    """Answers 429 past `max_concurrent` requests, 413 past `max_body` bytes, and 408 where a body takes too long: over `seconds`, with one
    more second for each `LEAST_RATE` bytes that have arrived; or where nothing arrives for `seconds`.

    Health and docs are always answered.
    """

    def __init__(self, app: ASGIApp, max_concurrent: int, max_body: int, seconds: float) -> None:
        self._app = app
        self._max_concurrent = max_concurrent
        self._max_body = max_body
        self._seconds = seconds
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer why not."""
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
        """A receive that counts the arriving bytes and the time of waiting for them. Time in which bytes lie unread is not the client's.
        Bodies of unknown length are only checked here."""
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
    """The Content-Length; 0 where there is none or it is no number (then the server before us has refused the request already)."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else 0
    return 0


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit / 1_000_000:g} MB"


class HeldModelsMiddleware:
    """Has a request answered by one model from its beginning to the last byte, and that model stay until then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, and note which models it meets."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        holds = request_of(scope).held = HeldModels()
        try:
            await self._app(scope, receive, send)
        finally:
            holds.end()
