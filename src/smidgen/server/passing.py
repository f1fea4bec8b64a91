"""Passing on: an upstream's response goes to the client as it comes, byte for byte, within bounds of size and time."""

from __future__ import annotations

import asyncio
import logging

import httpx
from starlette.types import Send

from smidgen.gateway.crossing import Headers, down
from smidgen.server.errors import as_json
from smidgen.server.upstream import Waits

_BODILESS = (204, 304)
_log = logging.getLogger("smidgen.server")


async def relay(response: httpx.Response, send: Send, marks: Headers, waits: Waits) -> None:
    """Send it on, and close it in the end. A stream of events that breaks off ends with an event with OpenAI's `error`.

    Raises RuntimeError where any other response breaks off: nothing can be said any more, and the connection must be closed, lest a part
    look like the whole.
    """
    try:
        headers = [*down(response.headers.raw), *marks]
        if response.status_code in _BODILESS:
            # What a 304 says there is the length of a body that does not come, which this server would wait for and break off.
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        fault = await _sent(response, send, waits)
        if fault:
            _log.warning("an upstream's answer broke off: %s", fault)
            plain = "content-encoding" not in response.headers and "content-length" not in response.headers
            if not (plain and response.headers.get("content-type", "").startswith("text/event-stream")):
                raise RuntimeError("an upstream's answer broke off")
            message = f"The upstream's answer broke off: {fault}. What came before is not the whole of it. Send the request again."
            told = {"error": {"message": message, "type": "server_error", "param": None, "code": "upstream_broke_off"}}
            await send({"type": "http.response.body", "body": b"\n\ndata: " + as_json(told) + b"\n\n", "more_body": True})
        await response.aclose()  # before the last word: with it the client may be gone, and this be cancelled
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        await response.aclose()


async def _sent(response: httpx.Response, send: Send, waits: Waits) -> str:
    """Send the body's pieces; why it ended too early, empty where it did not."""
    size = 0
    try:
        async with asyncio.timeout(waits.whole):
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > waits.most:
                    return f"it is larger than {waits.most / 1_000_000:g} MB"
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    except TimeoutError:
        return f"it takes longer than {waits.whole:g} s"
    except httpx.TimeoutException:
        return f"nothing came for {waits.read:g} s"
    except httpx.RequestError as error:
        return type(error).__name__
    return ""
