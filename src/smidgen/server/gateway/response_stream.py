"""An upstream's response on its way to the client: passed on byte for byte within bounds, and read or changed on the way."""

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
from smidgen.server.errors import as_json
from smidgen.server.gateway.upstream import UpstreamLimits
from smidgen.store.spending_ledger import NANO

JSON_TYPE = "application/json"
"""Of such answers alone it may be known what they cost before their head goes out."""
_COST = "smidgen.cost"
_MOST_PLAIN = 1_000_000
"""Bytes that one piece may be unpacked to: one that becomes more is not read on."""


class BodyReader(Protocol):
    """A reader of a body."""

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        ...

    def end(self) -> None:
        """There is no more."""
        ...


def read_in_passing(response: httpx.Response, reader: BodyReader, over: Callable[[], None]) -> httpx.Response:
    """The response, read by `reader`; `over` is called when it is closed."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _ReadStream(response.stream, reader, over)
    return response


def with_cost(response: httpx.Response, cost: Callable[[], int | None]) -> httpx.Response:
    """The response with its cost, which `cost` gives once it is read to its end."""
    response.extensions[_COST] = cost
    return response


def tells_cost(response: httpx.Response) -> bool:
    """Whether its cost can be known."""
    return _COST in response.extensions


def cost_of(response: httpx.Response) -> float | None:
    """The cost in US dollars of a response that was read to its end; None where its usage or the price is unknown."""
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
    """A reader of compressed bytes that feeds a reader of plain ones. It stops at bytes that cannot be unpacked, and then never ends."""

    def __init__(self, reader: BodyReader) -> None:
        self._reader = reader
        self._zlib = zlib.decompressobj(ANY_ZLIB)
        self._lost = False

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
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
        """There is no more."""
        if self._zlib.eof and not self._lost:
            self._reader.end()


def decompressing(reader: BodyReader, encoding: str) -> BodyReader | None:
    """A reader for bytes of this content encoding; None for an unknown encoding."""
    named = encoding.strip().lower()
    if named in ("", "identity"):
        return reader
    return DecompressingReader(reader) if named in ZLIB_ENCODINGS else None


_BODILESS = (204, 304)
_MOST_KEPT = 500_000
"""Bytes of a body that its head waits for."""
_log = logging.getLogger("smidgen.server")


async def relay(response: httpx.Response, send: Send, marks: Headers, waits: UpstreamLimits) -> None:
    """Send the response on, and close it in the end. A stream of events that breaks off ends with an event with OpenAI's `error`. The head
    of a response whose cost can be known waits for its end, if that is near.

    Raises RuntimeError where any other response breaks off: the connection must then be closed, or a part would look like the whole.
    """
    try:
        headers = [*reply_headers(response.headers.raw), *marks]
        if response.status_code in _BODILESS:
            # What a 304 says there is the length of a body that does not come, which this server would wait for and break off.
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        if isinstance(response.stream, httpx.ByteStream):  # all of it is there
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
        await response.aclose()  # before the last word: with it the client may be gone, and this be cancelled
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        await response.aclose()


class _Sending:
    """A response on its way out: its pieces are kept back until its head has gone."""

    def __init__(self, send: Send, status: int, headers: Headers) -> None:
        self._send, self._status, self._headers = send, status, headers
        self._kept: list[bytes] = []
        self._size = 0
        self._begun = False

    async def begin(self, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Send the head with more headers, and the pieces that were kept; once."""
        if self._begun:
            return
        self._begun = True
        await self._send({"type": "http.response.start", "status": self._status, "headers": [*self._headers, *more]})
        for piece in self._kept:
            await self.piece(piece)
        self._kept.clear()

    async def piece(self, piece: bytes) -> None:
        """Send a piece, or keep it. A blank piece, by which an upstream shows that it is at work, and a long one are not kept back."""
        if self._begun:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            return
        self._kept.append(piece)
        self._size += len(piece)
        if self._size > _MOST_KEPT or not piece.strip():
            await self.begin()


async def _send_body(response: httpx.Response, sending: _Sending, waits: UpstreamLimits) -> str:
    """Send the body's pieces; why it ended too early, empty where it did not."""
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
    """A change of a body, piece by piece."""

    def take(self, piece: bytes) -> bytes:
        """Take a piece, and return the part that can be sent now."""
        ...

    def rest(self) -> bytes:
        """The rest, at the end of the body."""
        ...


def changed_in_passing(response: httpx.Response, change: BodyChange) -> httpx.Response:
    """The response with a changed body, whose length is known only at its end. Closing it closes the given one."""
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
