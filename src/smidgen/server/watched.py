"""A response whose bytes are read while they pass, as they are: by whom, and what happens when it is closed, others say."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import httpx

from smidgen.gateway.answer_text import ANY_ZLIB, ZLIB_ENCODINGS
from smidgen.store.ledger import NANO

WHOLE = "application/json"
"""Of such answers alone it may be known what they cost before their head goes out."""
_COST = "smidgen.cost"
_MOST_PLAIN = 1_000_000
"""Bytes that one piece may be unpacked to: one that becomes more is not read on."""


class Reader(Protocol):
    """Whoever reads."""

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        ...

    def end(self) -> None:
        """There is no more."""
        ...


def watched(response: httpx.Response, reader: Reader, over: Callable[[], None]) -> httpx.Response:
    """The response, read by `reader`; `over` is called when it is closed."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _Watched(response.stream, reader, over)
    return response


def costing(response: httpx.Response, cost: Callable[[], int | None]) -> httpx.Response:
    """The response, of which `cost` knows what it cost, once it is read to its end."""
    response.extensions[_COST] = cost
    return response


def tells_cost(response: httpx.Response) -> bool:
    """Whether it may be known what it cost."""
    return _COST in response.extensions


def cost_of(response: httpx.Response) -> float | None:
    """What it cost in US dollars, of one that is read to its end; None where its upstream did not count, or nobody knows the price."""
    cost = response.extensions.get(_COST)
    nano = cost() if cost is not None else None
    return None if nano is None else nano / NANO


class _Watched(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, reader: Reader, over: Callable[[], None]) -> None:
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


class Unpacked:
    """A reader of packed bytes, for one of plain ones. What cannot be unpacked is read no further: its end does not come."""

    def __init__(self, reader: Reader) -> None:
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


def unpacked(reader: Reader, encoding: str) -> Reader | None:
    """One that can be fed with bytes of this content encoding; None where it is none that we know."""
    named = encoding.strip().lower()
    if named in ("", "identity"):
        return reader
    return Unpacked(reader) if named in ZLIB_ENCODINGS else None
