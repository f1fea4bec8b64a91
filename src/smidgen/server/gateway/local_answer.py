"""The small model's whole answer to a request, got through the faces behind the gateway, with what the gateway adds to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.core.replies import Reply
from smidgen.gateway.answer_reading import AnswerReader
from smidgen.gateway.headers import Headers
from smidgen.server.errors import as_json
from smidgen.server.request_state import collecting_replies

# The last event of a stream that a bundle wrote: in its field `smidgen` the gateway says what the face does not know.

EVENT_STREAM = "text/event-stream"
_BETWEEN = b"\n\n"
_LINE = b"\n"
_DATA = b"data: "


def stream_text(stream: bytes) -> str:
    """What a whole stream's answer says."""
    reading = AnswerReader(EVENT_STREAM, most=len(stream) + 1)
    reading.feed(stream)
    reading.end()
    return reading.text


def stream_with_facts(stream: bytes, facts: Mapping[str, Any]) -> bytes:
    """The stream with these facts in the field `smidgen` of the event that ends its text: of a chat completion or a completion the last
    chunk with a choice, of a response that with the whole. One that ends with an error is as it was."""
    events = stream.split(_BETWEEN)
    for place in range(len(events) - 1, -1, -1):
        head, between, line = events[place].rpartition(_LINE)  # of an event with a name, that is the line before
        data = line.removeprefix(_DATA)
        if data in (line, b"[DONE]"):
            continue
        found = json.loads(data)
        whole = found.get("response")
        if isinstance(whole, dict):
            found = {**found, "response": _with_facts(whole, facts)}
        elif found.get("choices"):
            found = _with_facts(found, facts)
        elif "choices" in found:  # the usage
            continue
        else:
            return stream
        events[place] = head + between + _DATA + as_json(found)
        return _BETWEEN.join(events)
    return stream


def _with_facts(value: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    held = value.get("smidgen")
    return {**value, "smidgen": {**(held if isinstance(held, dict) else {}), **facts}}


# The small model's whole answer to a request, got through the faces behind the gateway, before anything of it is sent.

CLIENT_GONE = 499
_FAILED = 500
_log = logging.getLogger("smidgen.server")


@dataclass(frozen=True)
class LocalAnswer:
    """What a face answered: the whole response, and the replies that it was made of."""

    status: int
    headers: Headers
    body: bytes
    replies: tuple[Reply, ...] = ()

    @property
    def good(self) -> bool:
        """Whether it is an answer."""
        return self.status == 200

    @property
    def is_json(self) -> bool:
        """Whether it is one object, and no stream of events."""
        return any(name == b"content-type" and value.startswith(b"application/json") for name, value in self.headers)

    def within(self, facts: Mapping[str, Any], parsed: dict[str, Any] | None) -> LocalAnswer:
        """The same with these facts in the field `smidgen` of the object, which is `parsed`, or of a stream's last event."""
        if parsed is None:
            whole = stream_with_facts(self.body, facts)
        else:
            held = parsed.get("smidgen")
            whole = as_json({**parsed, "smidgen": {**(held if isinstance(held, dict) else {}), **facts}})
        headers = [(name, value) for name, value in self.headers if name != b"content-length"]
        return LocalAnswer(self.status, [*headers, (b"content-length", str(len(whole)).encode())], whole, self.replies)

    async def send(self, send: Send, marks: Headers) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers, *marks]})
        await send({"type": "http.response.body", "body": self.body})


async def ask_locally(app: ASGIApp, scope: Scope, body: bytes, receive: Receive) -> LocalAnswer:
    """The answer of the application to this body. A small model that fails is no answer, and the log says so: the request escalates."""
    status: int = _FAILED
    headers: Headers = []
    pieces: list[bytes] = []

    async def keep(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    with collecting_replies() as replies:
        try:
            await app(dict(scope), replayed(body, receive), keep)
        except Exception as error:  # noqa: BLE001 whatever fails in the small model, the large one is still there
            _log.error("a small model failed, and its request escalates: %s", type(error).__name__)
            return LocalAnswer(_FAILED, [], b"")
    return LocalAnswer(status, headers, b"".join(pieces), tuple(replies))


def replayed(body: bytes, receive: Receive) -> Receive:
    """A receive that gives a body that was read already, then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
