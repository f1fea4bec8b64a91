"""A bundle's answer to a request for text: its replies, and the response that a face makes of them, whole or as an event stream.

A face does not depend on who asks. A client that calls it directly gets the response while a text is being written. The gateway reads the
answer to its end first, because the replies decide who answers. Then it adds facts to the field `smidgen`, and sends it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.gateway.headers import Headers
from smidgen.server.errors import answer, as_json, told
from smidgen.server.models import Generation, ServedBundle, merged_replies, read_generations
from smidgen.server.request import HttpRequest
from smidgen.server.service import Service

DONE = b"data: [DONE]\n\n"
EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Headers that keep proxies from buffering pieces."""


def event(value: Mapping[str, Any]) -> bytes:
    """Return one event."""
    return b"data: " + as_json(value) + b"\n\n"


class EventStream(StreamingResponse):
    """A stream of events. `on_end` is called however it ends, to stop the writing for it.

    A failure after the first event cannot change the status. It becomes the last event, with OpenAI's `error`.
    """

    def __init__(self, events: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        super().__init__(_with_failure(events), media_type=EVENT_STREAM, headers=HEADERS)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
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


Facts: TypeAlias = Mapping[str, Any]
"""Facts that the gateway adds to the field `smidgen`: who answered, under which certificate, at which cost."""
NumberedReplies: TypeAlias = AsyncIterator[tuple[int, Reply]]
"""Replies of several texts as they come, each with the number of its text."""


class AnswerFormat(Protocol):
    """The form of an answer in one face."""

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return the answer as one object. `read` has the replies of each text."""
        ...

    def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield the answer as the events of a stream, with the facts in the event that ends the text."""
        ...

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return the text of the answer; empty for a refusal."""
        ...


class LocalAnswer:
    """A bundle's answer to one request.

    Args:
        service: counts written texts.
        model: the bundle.
        request: the request.
        form: the face's form of the answer.
        streamed: whether a stream is asked for.
        read: the replies of each text, if they are complete.
        generations: texts that are still being written. They are closed in any case.
    """

    def __init__(
        self,
        service: Service,
        model: ServedBundle,
        request: HttpRequest,
        form: AnswerFormat,
        *,
        streamed: bool,
        read: Sequence[Sequence[Reply]] = (),
        generations: Sequence[Generation] = (),
    ) -> None:
        self.model = model
        self._service, self._request, self._form, self._streamed = service, request, form, streamed
        self._read, self._generations = read, generations

    @property
    def replies(self) -> list[Reply]:
        """The final reply of each text, once it was read."""
        return [replies[-1] for replies in self._read]

    @property
    def text(self) -> str:
        """The text of the answer, once it was read."""
        return self._form.text(self._read)

    async def response(self) -> Response:
        """Return the response for a client that asked the face. Errors are raised before a stream begins if possible.

        A client that disconnects stops the writing.
        """
        with ExitStack() as stack:
            await self._begin(stack)
            if self._streamed and self._generations:
                events = self._form.events(self._counted(merged_replies(self._generations)), {})
                return EventStream(events, stack.pop_all().close)
            await self._complete()
        if self._streamed:
            return StreamingResponse(self._form.events(_in_turn(self._read), {}), media_type=EVENT_STREAM, headers=HEADERS)
        return answer(self._form.whole(self._read, {}))

    async def complete(self) -> None:
        """Read the answer to its end. Raises RequestError if it fails, or the client disconnects meanwhile."""
        with ExitStack() as stack:
            await self._begin(stack)
            await self._complete()

    async def send(self, send: Send, facts: Facts, marks: Headers) -> None:
        """Send the complete answer with these facts and headers."""
        if self._streamed:
            body = b"".join([event async for event in self._form.events(_in_turn(self._read), facts)])
            own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            kind = f"{EVENT_STREAM}; charset=utf-8"
        else:
            body, own, kind = as_json(self._form.whole(self._read, facts)), [], "application/json"
        head = [*own, (b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *marks]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _begin(self, stack: ExitStack) -> None:
        for generation in self._generations:
            stack.callback(generation.close)
        if self._generations:
            await self._service.while_there(self._request, self._generations[0].begun())

    async def _complete(self) -> None:
        if not self._generations:
            return
        self._read = await self._service.while_there(self._request, read_generations(self._generations))
        for reply in self.replies:
            self._service.wrote(self.model, reply, self._request)

    async def _counted(self, replies: NumberedReplies) -> NumberedReplies:
        """Yield the replies, and count each text when it ends."""
        async for number, reply in replies:
            if reply.final:
                self._service.wrote(self.model, reply, self._request)
            yield number, reply


def with_extra(value: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """Add the facts, if there are any, as the field `smidgen` of an object without one."""
    return {**value, "smidgen": dict(facts)} if facts else value


async def _in_turn(read: Sequence[Sequence[Reply]]) -> NumberedReplies:
    """Yield complete replies, text after text."""
    for number, replies in enumerate(read):
        for reply in replies:
            yield number, reply


@dataclass(frozen=True, slots=True)
class TextFace:
    """A face at which a bundle answers a request for text.

    Attributes:
        body: the type of its request bodies.
        ask: starts a bundle's answer to a body. Raises RequestError if that is not possible.
    """

    body: type[BaseModel]
    ask: Callable[[Service, ServedBundle, Any, HttpRequest], Awaitable[LocalAnswer]]
