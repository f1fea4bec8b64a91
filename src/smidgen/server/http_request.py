"""An incoming request: its id, the client's key, its headers and body, and the web origin that it comes from."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Collection, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from smidgen.core.errors import RequestError
from smidgen.gateway.headers import client_key

# Ids of requests and replies, and whose a request is.
#
# An id of ours is random: nobody can guess the next one, so that nobody can take it first or say something about a stranger's answer.
# An id that a client chose is stored under the client's key, so that two clients may choose the same one.

OWN_ID_PREFIX = "req_"
"""How the ids begin that this server gives to requests. A client's own id that begins so is replaced."""
REQUEST_ID_KEY = "smidgen.request_id"
"""Where a request's scope has its id."""
_KEY_DIGITS = 12
_RANDOM_BYTES = 12


def fresh_id() -> str:
    """A random name: 24 hexadecimal digits."""
    return secrets.token_bytes(_RANDOM_BYTES).hex()


def key_of(scope: Scope) -> str:
    """The first digits of the SHA-256 of the key that a request bears; empty where it bears none. From them nobody finds the key."""
    key = client_key(scope["headers"])
    return hashlib.sha256(key).hexdigest()[:_KEY_DIGITS] if key else ""


def stored_id(id: str, key: str) -> str:
    """The id under which a request is stored: its own where this server gave it, else `KEY/ID` with the hash of the client's key. An id
    that is written so already stays."""
    return id if not key or id.startswith(OWN_ID_PREFIX) or "/" in id else f"{key}/{id}"


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """A request by the id that it is stored under, and the hash of the key that asked."""

    id: str
    key: str


def request_identity(scope: Scope) -> RequestIdentity:
    """Those of a request."""
    key = key_of(scope)
    return RequestIdentity(stored_id(scope.get(REQUEST_ID_KEY, ""), key), key)


# The body of a request on its way upstream: held, so that it can be read and sent again, or flowing, where it is large.

T = TypeVar("T")

MOST_HELD_BYTES = 1_000_000
"""Bodies announced as no larger are held; JSON is held whatever its size, which `--max-body-mb` bounds."""


class StreamedBody:
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


async def request_body(scope: Scope, receive: Receive, hold: bool) -> bytes | StreamedBody:
    """The body. `hold` says that it is held in any case. Raises RequestError, 499, where the client goes while it is read."""
    announced = header(scope, b"content-length")
    small = not header(scope, b"transfer-encoding") and (not announced or (announced.isdigit() and int(announced[:20]) <= MOST_HELD_BYTES))
    if not (hold or small or header(scope, b"content-type").startswith(b"application/json")):
        return StreamedBody(receive)
    pieces = []
    more = True
    while more:
        piece, more = await _next(receive)
        pieces.append(piece)
    return b"".join(pieces)


async def while_there(receive: Receive, body: bytes | StreamedBody, work: Coroutine[Any, Any, T]) -> T:
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


async def _gone(receive: Receive, body: bytes | StreamedBody) -> None:
    """Returns when the client has hung up, after its whole body came."""
    if isinstance(body, StreamedBody):
        await body.over.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


def _has_gone() -> RequestError:
    return RequestError("the client has gone", value="a request", todo="Nothing is sent.", status=499, code="client_gone")


# Where a request comes from: a web page must not spend the owner's money through a gateway on their machine.


def from_other_origin(scope: Scope, allowed: Collection[str]) -> bool:
    """Whether a page of another web origin sent it. Browsers say where a page is from; programs that are none do not.

    A page can send some requests without asking, and needs not see the answer to do harm. `allowed` are origins as `--cors` names them.
    """
    origin = header(scope, b"origin").decode("latin-1").lower()
    if not origin:
        # An image or a script of a page asks without an origin. Browsers say so in this header, which no page can set.
        return "*" not in allowed and header(scope, b"sec-fetch-site").strip().lower() in (b"cross-site", b"same-site")
    if "*" in allowed or origin in {one.lower().rstrip("/") for one in allowed}:
        return False
    return origin.partition("://")[2] != header(scope, b"host").decode("latin-1").lower()
