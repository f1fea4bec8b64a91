"""Server-sent events: an answer that goes out while it is being written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from smidgen.core.errors import RequestError
from smidgen.server.errors import as_json, told

DONE = b"data: [DONE]\n\n"
EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Nothing on the way may keep pieces back."""


def event(value: Mapping[str, Any]) -> bytes:
    """One event."""
    return b"data: " + as_json(value) + b"\n\n"


class EventStream(StreamingResponse):
    """A stream of events. However it ends, `on_end` is called, so that writing for it stops.

    A failure after the first event can have no status any more: it is a last event with OpenAI's `error`.
    """

    def __init__(self, events: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        super().__init__(_with_failure(events), media_type=EVENT_STREAM, headers=HEADERS)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


async def _with_failure(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for one in events:
            yield one
    except RequestError as error:
        yield event(told(error))
