"""A large model that costs nothing: an OpenAI-compatible server that says a known thing after a known time.

It is a process of its own, on asyncio's own protocols, so that it takes as little as can be of the cores that the gateway needs.
Its answer to a text is `upstream: ` and the text, whole or, where `stream` is asked for, in four pieces. `POST /manners` tells it to be
slow, or to fail.

    python -m bench.upstream --port 8099 --delay 0.02
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
from dataclasses import dataclass
from typing import Any

SAYS = "upstream: "
PIECES = 4
_LENGTH = re.compile(rb"content-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding:[ \t]*chunked", re.IGNORECASE)
_MOST_HEAD, _MOST_BODY = 65_536, 8_000_000
_REASONS = {200: b"OK", 400: b"Bad Request", 429: b"Too Many Requests", 500: b"Internal Server Error", 503: b"Service Unavailable"}


@dataclass
class Manners:
    """How it answers: seconds before the first byte, seconds between the pieces of a stream, and a status that it fails with (0: none)."""

    delay: float
    pause: float = 0.0
    fail: int = 0


def answer_to(text: str) -> str:
    """What it says to a text."""
    return SAYS + text


class Speaker(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._buffer = bytearray()
        self._busy = False
        self._transport: asyncio.Transport | None = None
        self._later: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        if self._later is not None:
            self._later.cancel()

    def data_received(self, data: bytes) -> None:
        """Some bytes; the answer is due when the request is whole."""
        self._buffer += data
        if not self._busy:
            self._next()

    def _next(self) -> None:
        assert self._transport is not None
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MOST_HEAD:
                self._transport.abort()
            return
        head = bytes(self._buffer[:end])
        length = _LENGTH.search(head)
        size = int(length.group(1)) if length else 0
        if _CHUNKED.search(head) or size > _MOST_BODY:
            self._transport.abort()
            return
        if len(self._buffer) < end + 4 + size:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + size])
        del self._buffer[: end + 4 + size]
        self._busy = True
        method, path, _ = head.split(b" ", 2)
        self._take(method, path, body)

    def _take(self, method: bytes, path: bytes, body: bytes) -> None:
        if path == b"/manners":
            asked = json.loads(body)
            for name in ("delay", "pause", "fail"):
                setattr(self._manners, name, asked.get(name, getattr(self._manners, name)))
            self._send(200, b"{}")
        elif method == b"GET":
            self._send(200, b'{"object":"list","data":[{"id":"big","object":"model","created":1,"owned_by":"bench"}]}')
        else:
            self._after(self._manners.delay, self._answer, body)

    def _answer(self, body: bytes) -> None:
        try:
            asked = json.loads(body)
            text = str(asked["messages"][-1]["content"] if "messages" in asked else asked["prompt"])
        except (ValueError, KeyError, IndexError, TypeError):
            self._send(400, b'{"error":{"message":"no messages","type":"invalid_request_error","param":null,"code":null}}')
            return
        if self._manners.fail:
            self._send(self._manners.fail, b'{"error":{"message":"as told","type":"server_error","param":null,"code":null}}')
        elif asked.get("stream"):
            self._begin_stream(answer_to(text), str(asked.get("model")))
        else:
            self._send(200, json.dumps(_whole(answer_to(text), text, str(asked.get("model")))).encode())

    def _begin_stream(self, said: str, model: str) -> None:
        assert self._transport is not None
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        size = -(-len(said) // PIECES)
        deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
        deltas += [({"content": said[at : at + size]}, None) for at in range(0, len(said), size)]
        self._stream([*deltas, ({}, "stop")], model)

    def _stream(self, left: list[tuple[dict[str, str], str | None]], model: str) -> None:
        """The next piece, and the others after it."""
        assert self._transport is not None
        (delta, finish), *rest = left
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        event = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
        data = b"data: " + json.dumps(event).encode() + b"\n\n"
        if not rest:
            data += b"data: [DONE]\n\n"
        self._transport.write(b"%x\r\n%s\r\n" % (len(data), data))
        if rest:
            self._after(self._manners.pause, self._stream, rest, model)
        else:
            self._transport.write(b"0\r\n\r\n")
            self._done()

    def _after(self, seconds: float, work: Any, *given: Any) -> None:
        self._later = asyncio.get_running_loop().call_later(seconds, work, *given)

    def _send(self, status: int, body: bytes) -> None:
        assert self._transport is not None
        head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, _REASONS.get(status, b"Said"), len(body)) + body)
        self._done()

    def _done(self) -> None:
        self._busy = False
        if self._buffer:
            self._next()


def _whole(said: str, text: str, model: str) -> dict[str, Any]:
    given, got = len(text) // 4 + 1, len(said) // 4 + 1
    return {
        "id": "chatcmpl-up",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": given, "completion_tokens": got, "total_tokens": given + got},
    }


async def serve(port: int, manners: Manners) -> None:
    """Serve on loopback until cancelled."""
    server = await asyncio.get_running_loop().create_server(lambda: Speaker(manners), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.02, help="seconds before the first byte of an answer")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(given.port, Manners(given.delay)))


if __name__ == "__main__":
    main()
