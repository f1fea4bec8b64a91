"""A response whose body is changed while it passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import httpx


class Change(Protocol):
    """What is done to a body's pieces."""

    def take(self, piece: bytes) -> bytes:
        """What can go on now."""
        ...

    def rest(self) -> bytes:
        """The rest, at the end of the body."""
        ...


def mended(response: httpx.Response, change: Change) -> httpx.Response:
    """The response with another body, whose length nobody knows before its end. Closing it closes the one that is given."""
    return httpx.Response(
        response.status_code,
        headers=[(name, value) for name, value in response.headers.raw if name.lower() != b"content-length"],
        stream=_Mended(response, change),
        extensions=response.extensions,
    )


class _Mended(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response, change: Change) -> None:
        self._response, self._change = response, change

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._response.aiter_raw():
            if done := self._change.take(piece):
                yield done
        if rest := self._change.rest():
            yield rest

    async def aclose(self) -> None:
        await self._response.aclose()
