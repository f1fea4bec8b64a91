"""How much the server takes on: requests at a time, bytes in a body, time to send it."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.server.errors import REMEDY, failure
from smidgen.server.keys import OPEN

LEAST_RATE = 10_000
"""Bytes a second that a body must come at, in the long run, to take longer than the seconds: a slow line, and no client that holds a place
with a byte now and then."""


class Limits:
    """Answers 429 past `max_concurrent` requests, 413 past `max_body` bytes, 408 where a body takes longer than `seconds` to arrive, and a
    second more for each `LEAST_RATE` bytes that have come of it; or where none of it comes for `seconds`.

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
        if scope["type"] != "http" or scope["path"] in OPEN:
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
        """A receive that counts what arrives, and the time that it is waited for; that in which nobody takes what is there is not the
        client's. Bodies of unknown length are only caught here."""
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
