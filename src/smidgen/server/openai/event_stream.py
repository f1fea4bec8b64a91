"""Server-sent events: an answer that goes out while it is being written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.server.errors import as_json, told
from smidgen.server.model_queues import Generation, read_generations
from smidgen.server.service import Service

DONE = b"data: [DONE]\n\n"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Nothing on the way may keep pieces back."""


def event(value: Mapping[str, Any]) -> bytes:
    """One event."""
    return b"data: " + as_json(value) + b"\n\n"


class EventStream(StreamingResponse):
    """A stream of events. However it ends, `on_end` is called: what is still being written for it must stop.

    A failure after the first event cannot have a status any more: it is an event with OpenAI's `error`, the last one.
    """

    def __init__(self, events: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        super().__init__(_with_failure(events), media_type="text/event-stream", headers=HEADERS)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


async def respond(
    service: Service,
    request: Request,
    generations: Sequence[Generation],
    stream: AsyncIterator[bytes] | None,
    whole: Callable[[list[list[Reply]]], Response],
) -> Response:
    """The response with texts that are being written: `stream`, where it is to go out as it comes, or what `whole` makes of all replies.

    What can be refused is refused before a stream begins. A client that hangs up ends the writing.
    """
    with ExitStack() as stack:
        for generation in generations:
            stack.callback(generation.close)
        await service.while_there(request, generations[0].begun())
        if stream is not None:
            return EventStream(stream, stack.pop_all().close)
        return whole(await service.while_there(request, read_generations(generations)))


async def _with_failure(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for one in events:
            yield one
    except RequestError as error:
        yield event(told(error))
