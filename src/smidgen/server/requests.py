"""The front door: every request gets an id, a line in the access log and its place in the metrics, and nothing escapes unanswered."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
import traceback

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.core.errors import SmidgenError
from smidgen.server.errors import failure
from smidgen.server.ids import OURS, REQUEST_ID, fresh
from smidgen.server.metering import Metering

_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_log = logging.getLogger("smidgen.server")
_access = logging.getLogger("smidgen.access")


class Requests:
    """Outermost of the server's own layers.

    The request id is the client's `x-request-id` where it sent a plain one that does not begin like ours, else a fresh one; it is in the
    reply, the log and the error.
    The log has the route, never a query, a header or a body.
    """

    def __init__(self, app: ASGIApp, metering: Metering, access_log: bool = True) -> None:
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
        scope[REQUEST_ID] = request_id.decode("ascii")
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
            self._metering.running.dec()
            self._note(scope, status, time.perf_counter() - began, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: bytes) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metering.requests.labels(route, scope["method"] if route != "other" else "other", str(status)).inc()
        self._metering.seconds.labels(route).observe(seconds)
        if self._access_log:
            _access.info("%s %s %d %.1f ms %s", scope["method"][:10], route, status, seconds * 1000, request_id.decode())


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.fullmatch(value) and not value.lower().startswith(OURS.encode()):
            return bytes(value)
    return f"{OURS}{fresh()}".encode()


def _report(error: Exception, request_id: str) -> None:
    """Log a failure: what it was and where. The messages of foreign exceptions may quote a text, so they are left out."""
    cause = error.__cause__ if error.__cause__ is not None else error
    named = f"{type(cause).__name__}: {cause.what}" if isinstance(cause, SmidgenError) else type(cause).__name__
    if os.environ.get("SMIDGEN_DEBUG"):
        _log.error("%s failed", request_id, exc_info=error)
        return
    last = traceback.extract_tb(cause.__traceback__)[-3:]
    where = " < ".join(f"{frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})" for frame in reversed(last))
    _log.error("%s failed: %s at %s", request_id, named, where or "unknown")
