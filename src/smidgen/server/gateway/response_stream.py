"""Pass an upstream's response to the client byte for byte, within limits, and read or change it on the way."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

import httpx
from starlette.types import Send

from smidgen.gateway.answer_reading import ANY_ZLIB, ZLIB_ENCODINGS
from smidgen.gateway.headers import Headers, cost_headers, reply_headers
from smidgen.server.gateway.upstream import UpstreamLimits
from smidgen.server.reply_json import as_json
from smidgen.store.spending_ledger import NANO

JSON_TYPE = "application/json"
"""Only for this type can the cost be known before the head is sent."""
_COST = "smidgen.cost"
_MOST_PLAIN = 1_000_000
"""Most bytes that one piece may decompress to. Reading stops if one exceeds that."""


class BodyReader(Protocol):
    """Reads a body in pieces."""

    def feed(self, piece: bytes) -> None:
        """Read the next bytes."""
        ...

    def end(self) -> None:
        """Handle the end of the body."""
        ...


def read_in_passing(response: httpx.Response, reader: BodyReader, over: Callable[[], None]) -> httpx.Response:
    """Let `reader` read the response in passing. `over` is called when it is closed."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _ReadStream(response.stream, reader, over)
    return response


def with_cost(response: httpx.Response, cost: Callable[[], int | None]) -> httpx.Response:
    """Attach a function that returns the response's cost once it is read completely."""
    response.extensions[_COST] = cost
    return response


def tells_cost(response: httpx.Response) -> bool:
    """Return True if the response has such a function."""
    return _COST in response.extensions


def cost_of(response: httpx.Response) -> float | None:
    """Return the cost of a completely read response in US dollars; None if usage or price is unknown."""
    cost = response.extensions.get(_COST)
    nano = cost() if cost is not None else None
    return None if nano is None else nano / NANO


class _ReadStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, reader: BodyReader, over: Callable[[], None]) -> None:
        self._stream, self._reader, self._over = stream, reader, over

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._reader.feed(piece)
            yield piece
        self._reader.end()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._over()


class DecompressingReader:
    """Decompresses bytes for another reader. If they cannot be decompressed, it stops, and the reader gets no end."""

    def __init__(self, reader: BodyReader) -> None:
        self._reader = reader
        self._zlib = zlib.decompressobj(ANY_ZLIB)
        self._lost = False

    def feed(self, piece: bytes) -> None:
        """Read the next bytes."""
        if self._lost:
            return
        try:
            plain = self._zlib.decompress(piece, _MOST_PLAIN)
        except zlib.error:
            plain = b""
            self._lost = True
        self._lost = self._lost or bool(self._zlib.unconsumed_tail)
        if plain:
            self._reader.feed(plain)

    def end(self) -> None:
        """Handle the end of the body."""
        if self._zlib.eof and not self._lost:
            self._reader.end()


def decompressing(reader: BodyReader, encoding: str) -> BodyReader | None:
    """Return a reader for bytes of this content encoding; None for an unknown one."""
    named = encoding.strip().lower()
    if named in ("", "identity"):
        return reader
    return DecompressingReader(reader) if named in ZLIB_ENCODINGS else None


_BODILESS = (204, 304)
_MOST_KEPT = 500_000
"""Most bytes of a body to hold back until its cost is known."""
_log = logging.getLogger("smidgen.server")


async def relay(response: httpx.Response, send: Send, marks: Headers, waits: UpstreamLimits) -> None:
    """Send a response on, and close it at the end.

    An event stream that breaks off ends with an event with OpenAI's `error`. The head of a response that may tell its cost waits for a
    short body.

    Raises RuntimeError if any other response breaks off: the connection must then be closed, so that a part does not look complete.
    """
    try:
        headers = [*reply_headers(response.headers.raw), *marks]
        if response.status_code in _BODILESS:
            # The content-length of a 304 describes a body that does not follow. This server would wait for it and fail.
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        if isinstance(response.stream, httpx.ByteStream):  # the body is complete
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            await send({"type": "http.response.body", "body": b"".join(response.stream), "more_body": False})
            return
        sending = _Sending(send, response.status_code, headers)
        if not tells_cost(response):
            await sending.begin()
        fault = await _send_body(response, sending, waits)
        await sending.begin(cost_headers(cost_of(response)) if not fault else ())
        if fault:
            _log.warning("an upstream's answer broke off: %s", fault)
            plain = "content-encoding" not in response.headers and "content-length" not in response.headers
            if not (plain and response.headers.get("content-type", "").startswith("text/event-stream")):
                raise RuntimeError("an upstream's answer broke off")
            message = f"The upstream's answer broke off: {fault}. What came before is not the whole of it. Send the request again."
            told = {"error": {"message": message, "type": "server_error", "param": None, "code": "upstream_broke_off"}}
            await sending.piece(b"\n\ndata: " + as_json(told) + b"\n\n")
        await response.aclose()  # before the last message, after which the client may leave and cancel this
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        await response.aclose()


class _Sending:
    """A response being sent. Its pieces wait until the head has gone out."""

    def __init__(self, send: Send, status: int, headers: Headers) -> None:
        self._send, self._status, self._headers = send, status, headers
        self._kept: list[bytes] = []
        self._size = 0
        self._begun = False

    async def begin(self, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Send the head, with further headers, and the waiting pieces; once."""
        if self._begun:
            return
        self._begun = True
        await self._send({"type": "http.response.start", "status": self._status, "headers": [*self._headers, *more]})
        for piece in self._kept:
            await self.piece(piece)
        self._kept.clear()

    async def piece(self, piece: bytes) -> None:
        """Send a piece, or keep it until the head is sent. A blank piece (a keep-alive) or too many bytes send the head at once."""
        if self._begun:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            return
        self._kept.append(piece)
        self._size += len(piece)
        if self._size > _MOST_KEPT or not piece.strip():
            await self.begin()


async def _send_body(response: httpx.Response, sending: _Sending, waits: UpstreamLimits) -> str:
    """Send the body's pieces. Returns why it ended too early, or an empty string."""
    size = 0
    try:
        async with asyncio.timeout(waits.whole):
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > waits.most:
                    return f"it is larger than {waits.most / 1_000_000:g} MB"
                await sending.piece(piece)
    except TimeoutError:
        return f"it takes longer than {waits.whole:g} s"
    except httpx.TimeoutException:
        return f"nothing came for {waits.read:g} s"
    except httpx.RequestError as error:
        return type(error).__name__
    return ""


class BodyChange(Protocol):
    """Changes a body in pieces."""

    def take(self, piece: bytes) -> bytes:
        """Add a piece and return the part that can be sent."""
        ...

    def rest(self) -> bytes:
        """Return the rest, at the end of the body."""
        ...


def changed_in_passing(response: httpx.Response, change: BodyChange) -> httpx.Response:
    """Return the response with a changed body of unknown length. Closing it closes the original."""
    return httpx.Response(
        response.status_code,
        headers=[(name, value) for name, value in response.headers.raw if name.lower() != b"content-length"],
        stream=_ChangedStream(response, change),
        extensions=response.extensions,
    )


class _ChangedStream(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response, change: BodyChange) -> None:
        self._response, self._change = response, change

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._response.aiter_raw():
            if done := self._change.take(piece):
                yield done
        if rest := self._change.rest():
            yield rest

    async def aclose(self) -> None:
        await self._response.aclose()
