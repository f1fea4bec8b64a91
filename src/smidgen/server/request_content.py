"""The body of a request on its way upstream: held, so that it can be read and sent again, or flowing, where it is large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from smidgen.core.errors import RequestError

T = TypeVar("T")

MOST_HELD = 1_000_000
"""Bodies announced as no larger are held; JSON is held whatever its size, which `--max-body-mb` bounds."""


class Flowing:
    """A body that is sent on as it comes. It can be sent once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.begun = False
        self.over = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun = True
        more = True
        while more:
            piece, more = await _next(self._receive)
            if piece:
                yield piece
        self.over.set()


async def content(scope: Scope, receive: Receive, hold: bool) -> bytes | Flowing:
    """The body. `hold` says that it is held in any case. Raises RequestError, 499, where the client goes while it is read."""
    announced = header(scope, b"content-length")
    small = not header(scope, b"transfer-encoding") and (not announced or (announced.isdigit() and int(announced[:20]) <= MOST_HELD))
    if not (hold or small or header(scope, b"content-type").startswith(b"application/json")):
        return Flowing(receive)
    pieces = []
    more = True
    while more:
        piece, more = await _next(receive)
        pieces.append(piece)
    return b"".join(pieces)


async def while_there(receive: Receive, body: bytes | Flowing, work: Coroutine[Any, Any, T]) -> T:
    """What some work gives. Raises RequestError, 499, and cancels the work, as soon as the client hangs up."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive, body))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise _has_gone()
    finally:
        working.cancel()
        gone.cancel()


def header(scope: Scope, name: bytes) -> bytes:
    """The value of a request's header; empty where there is none."""
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _has_gone()
    return message.get("body", b""), message.get("more_body", False)


async def _gone(receive: Receive, body: bytes | Flowing) -> None:
    """Returns when the client has hung up, after its whole body came."""
    if isinstance(body, Flowing):
        await body.over.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


def _has_gone() -> RequestError:
    return RequestError("the client has gone", value="a request", todo="Nothing is sent.", status=499, code="client_gone")
