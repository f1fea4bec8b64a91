"""Passing on: an upstream's response goes to the client as it comes, byte for byte, within bounds of size and time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import httpx
from starlette.types import Send

from smidgen.gateway.crossing import Headers, down, prices
from smidgen.server.errors import as_json
from smidgen.server.upstream import Waits
from smidgen.server.watched import cost_of, tells_cost

_BODILESS = (204, 304)
_MOST_KEPT = 500_000
"""Bytes of a body that its head waits for."""
_log = logging.getLogger("smidgen.server")


async def relay(response: httpx.Response, send: Send, marks: Headers, waits: Waits) -> None:
    """Send it on, and close it in the end. A stream of events that breaks off ends with an event with OpenAI's `error`. The head of one
    that may say what it cost waits for its end, if that is near.

    Raises RuntimeError where any other response breaks off: nothing can be said any more, and the connection must be closed, lest a part
    look like the whole.
    """
    try:
        headers = [*down(response.headers.raw), *marks]
        if response.status_code in _BODILESS:
            # What a 304 says there is the length of a body that does not come, which this server would wait for and break off.
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        sending = _Sending(send, response.status_code, headers)
        if not tells_cost(response):
            await sending.begin()
        fault = await _sent(response, sending, waits)
        await sending.begin(prices(cost_of(response)) if not fault else ())
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
        """Send the head, with more headers, and what was kept; once."""
        if self._begun:
            return
        self._begun = True
        await self._send({"type": "http.response.start", "status": self._status, "headers": [*self._headers, *more]})
        for piece in self._kept:
            await self.piece(piece)
        self._kept.clear()

    async def piece(self, piece: bytes) -> None:
        """Send a piece, or keep it: a blank one, with which an upstream says that it is still at work, and what is long, wait no longer."""
        if self._begun:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            return
        self._kept.append(piece)
        self._size += len(piece)
        if self._size > _MOST_KEPT or not piece.strip():
            await self.begin()


async def _sent(response: httpx.Response, sending: _Sending, waits: Waits) -> str:
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
