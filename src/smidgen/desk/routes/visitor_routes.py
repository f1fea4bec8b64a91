"""The calls that the chat's frame makes: begin a conversation, write, decide, rate, ask for a person, read on.

Visitors have no API key. A conversation's token comes in a header, so that it stands in no log and no history. Pages of other origins are
refused, whatever they send.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from smidgen.core.conversations import DeskConversation, Turn
from smidgen.core.errors import RequestError, SmidgenError
from smidgen.desk.routes import conversation_json, frame_page
from smidgen.desk.routes.served_desk import ServedDesk, desks_of
from smidgen.desk.routes.visitor_limits import KnownVisitors, VisitorLimit
from smidgen.desk.routes.visits import Accepted, Visits
from smidgen.server.access import from_other_origin
from smidgen.server.errors import error_body
from smidgen.server.reply_json import answer, as_json
from smidgen.server.request import face_request, face_router
from smidgen.server.service import Service

TOKEN_HEADER = "x-smidgen-conversation"
_MESSAGE = r"^[0-9a-f]{32}$"
_EMAIL = r"^([^@\s<>\"',;:]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,8})?$"
_POLL_SECONDS, _POLL_STEP = 20.0, 0.7
_MOST_POLLS = 200
"""Visitors that may wait for a person at a time. Others are told at once that there is nothing new."""
_SIGN_SECONDS = 5.0
"""Seconds after which a stream says that it still works."""
_HOUR = 3_600.0
_log = logging.getLogger("smidgen.server")

T = TypeVar("T")


class ConversationRequest(BaseModel):
    """The beginning of a conversation."""

    model_config = ConfigDict(extra="forbid")

    language: Literal["", "en", "de"] = Field("", description="The visitor's language.")


class VisitorMessage(BaseModel):
    """A visitor's message. `id` is the same when it is sent again."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=_MESSAGE, description="32 hexadecimal digits, made by the frame.")
    text: str = Field(min_length=1, description="The words.")


class CallDecision(BaseModel):
    """A visitor's yes or no to a proposed call."""

    model_config = ConfigDict(extra="forbid")

    yes: bool = Field(strict=True, description="Whether to run it.")


class ThumbRequest(BaseModel):
    """A visitor's thumb on a turn."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["up", "down"] = Field(description="A thumb.")
    comment: str = Field("", max_length=1_000, description="The visitor's words.")


class PersonRequest(BaseModel):
    """A visitor's wish for a person."""

    model_config = ConfigDict(extra="forbid")

    email: str = Field("", max_length=254, pattern=_EMAIL, description="Where to write to, if the visitor likes.")


@dataclass
class DeskCounter:
    """A desk at work on a server: its visits, its limits, and the locks that keep a conversation's calls in order."""

    served: ServedDesk
    visits: Visits = field(init=False)
    polls: int = 0

    def __post_init__(self) -> None:
        settings = self.served.settings
        self.visits = Visits(self.served)
        self.known = KnownVisitors()
        self.calls = VisitorLimit(settings.calls_a_minute, 60.0)
        self.messages = VisitorLimit(settings.messages_a_minute, 60.0)
        self.starts = VisitorLimit(settings.starts_an_hour, _HOUR)
        self.running: set[asyncio.Task[Any]] = set()
        self._at_once = asyncio.Semaphore(settings.at_once)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn_of(self, conversation: str) -> AsyncIterator[None]:
        """Wait until it is this call's turn: one at a time in a conversation, a few at a time in all. Raises RequestError, 503."""
        lock = self._locks.setdefault(conversation, asyncio.Lock())
        try:
            async with asyncio.timeout(self.served.settings.answer_seconds):
                await lock.acquire()
                try:
                    await self._at_once.acquire()
                except BaseException:
                    lock.release()
                    raise
        except TimeoutError:
            raise RequestError("desk.desk_has_too_much_to_do", value=self.served.desk.name, status=503, code="overloaded") from None
        try:
            yield
        finally:
            self._at_once.release()
            lock.release()


def face(service: Service) -> APIRouter:
    """Return the routes; none if the server shows no desk."""
    router = face_router("desk", keyless=True)  # each conversation has a token of its own
    counters = {name: DeskCounter(served) for name, served in desks_of(service).items()}
    if not counters:
        return router
    _add_pages(router, counters)
    _add_calls(router, counters)
    return router


def _add_pages(router: APIRouter, counters: Mapping[str, DeskCounter]) -> None:
    """Add the files and the frame."""

    @router.get("/desk/widget.js", include_in_schema=False)
    async def widget(request: Request) -> Response:
        return frame_page.script(request)

    @router.get("/desk/assets/{version}/{name}", include_in_schema=False)
    async def asset(request: Request, version: str, name: str) -> Response:
        found = frame_page.asset(request, name) if version == frame_page.version() else None
        if found is None:
            raise RequestError("desk.there_is_no_such_file", value=name, status=404, code="not_found")
        return found

    @router.get("/desk/{desk}/frame", include_in_schema=False)
    async def frame(request: Request, desk: str, lang: str = Query("", max_length=8)) -> Response:
        counter = _counter(counters, desk)
        around = _origin_of(request.headers.get("referer", ""))
        own = face_request(request).header(b"host").decode("latin-1").lower()
        if around and around.partition("://")[2] != own and not counter.served.settings.embeds(around):
            raise RequestError("desk.this_page_may_not_show_chat", value=around, status=403, code="origin_not_allowed")
        return frame_page.page(counter.served.desk, counter.served.settings, lang)


def _add_calls(router: APIRouter, counters: Mapping[str, DeskCounter]) -> None:
    """Add what the frame calls."""
    conversations = "/desk/{desk}/conversations"

    @router.post(conversations, include_in_schema=False)
    async def begin(request: Request, desk: str, body: ConversationRequest) -> Response:
        counter = _own_page(counters, desk, request)
        counter.starts.count(counter.served.address(request))
        conversation, token = await asyncio.to_thread(counter.visits.begin, body.language)
        counter.known.add(conversation.id, token)
        return _sent({"id": conversation.id, "token": token, "status": conversation.status})

    @router.get(conversations + "/{id}", include_in_schema=False)
    async def read(
        request: Request,
        desk: str,
        id: str,
        after: str = Query("", max_length=64),
        message: str = Query("", max_length=64),
        wait: bool = False,
    ) -> Response:
        counter = _own_page(counters, desk, request, id)
        conversation = await _conversation(counter, request, id)
        if wait and not _newer(conversation, after):
            conversation = await _poll(counter, request, conversation, after)
        known = message != "" and any(one.id == conversation_json.message_turn(id, message) for one in conversation.turns)
        found = await asyncio.to_thread(counter.visits.told, conversation, after)
        return _sent({**found, "known": known})

    @router.post(conversations + "/{id}/messages", include_in_schema=False)
    async def write(request: Request, desk: str, id: str, body: VisitorMessage) -> Response:
        counter = _own_page(counters, desk, request, id)
        text = _clean(body.text, counter.served.settings.longest)
        token = _token(request)
        await _conversation(counter, request, id)
        counter.messages.count(id)

        def work(accepted: Accepted) -> DeskConversation:
            return counter.visits.answer(counter.visits.read(id, token), body.id, text, accepted, counter.served.address(request))

        return _stream(counter, id, work)

    @router.post(conversations + "/{id}/calls/{call}", include_in_schema=False)
    async def decide(request: Request, desk: str, id: str, call: str, body: CallDecision) -> Response:
        counter = _own_page(counters, desk, request, id)
        token = _token(request)
        await _conversation(counter, request, id)
        counter.messages.count(id)

        def work(accepted: Accepted) -> DeskConversation:
            return counter.visits.decide(counter.visits.read(id, token), call, body.yes, accepted, counter.served.address(request))

        return _stream(counter, id, work)

    @router.post(conversations + "/{id}/turns/{turn}/feedback", include_in_schema=False)
    async def rate(request: Request, desk: str, id: str, turn: str, body: ThumbRequest) -> Response:
        counter = _own_page(counters, desk, request, id)
        conversation = await _conversation(counter, request, id)
        await asyncio.to_thread(counter.visits.rate, conversation, turn[:64], body.verdict, body.comment.strip())
        return _sent({"turn": turn[:64], "verdict": body.verdict})

    @router.post(conversations + "/{id}/person", include_in_schema=False)
    async def person(request: Request, desk: str, id: str, body: PersonRequest) -> Response:
        counter = _own_page(counters, desk, request, id)
        token = _token(request)
        before = await _conversation(counter, request, id)
        newest = before.turns[-1].id if before.turns else ""

        def work() -> dict[str, Any]:
            return counter.visits.told(counter.visits.hand_over(counter.visits.read(id, token), body.email), newest)

        async with counter.turn_of(id):
            return _sent(await _finished(counter, asyncio.to_thread(work)))


async def _finished(counter: DeskCounter, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of work that goes on to its end even if the visitor leaves."""
    task = asyncio.ensure_future(work)
    counter.running.add(task)
    task.add_done_callback(counter.running.discard)
    return await asyncio.shield(task)


def _stream(counter: DeskCounter, conversation: str, work: Callable[[Accepted], DeskConversation]) -> Response:
    """Answer by server-sent events. The work goes on if the visitor leaves, and is told when they ask again."""
    events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    accepted: list[Turn] = []

    def accept(after: DeskConversation, turn: Turn) -> None:
        accepted.append(turn)
        shown = conversation_json.turns_json(after, [turn], {})[0]
        loop.call_soon_threadsafe(events.put_nowait, ("accepted", {"turn": shown}))

    async def done() -> None:
        try:
            async with counter.turn_of(conversation):
                after = await asyncio.to_thread(work, accept)
                shown = await asyncio.to_thread(counter.visits.told, after, accepted[-1].id)
            for turn in shown["turns"]:
                if turn["author"] == "desk":
                    for piece in conversation_json.pieces(turn["text"]):
                        events.put_nowait(("text", {"text": piece}))
                events.put_nowait(("turn", {"turn": turn}))
            events.put_nowait(("end", {"status": shown["status"]}))
        except RequestError as error:
            events.put_nowait(("error", {**error_body(error), "status": error.status}))
        except Exception as error:  # noqa: BLE001 the stream has begun: the visitor is told in it, and the log has the reason
            named = error.what if isinstance(error, SmidgenError) else type(error).__name__
            _log.error("the desk %s failed: %s", counter.served.desk.name, named)
            failed = RequestError("desk.desk_failed", status=500, code="internal_error")
            events.put_nowait(("error", {**error_body(failed), "status": failed.status}))

    async def sent() -> AsyncIterator[bytes]:
        task = asyncio.ensure_future(done())
        counter.running.add(task)
        task.add_done_callback(counter.running.discard)
        yield _event("status", {"state": "thinking"})
        while True:
            try:
                name, value = await asyncio.wait_for(events.get(), _SIGN_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            yield _event(name, value)
            if name in ("end", "error"):
                return

    return StreamingResponse(sent(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _event(name: str, value: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode("ascii"), as_json(value))


async def _poll(counter: DeskCounter, request: Request, conversation: DeskConversation, after: str) -> DeskConversation:
    """Wait until a conversation goes on, for some seconds at most."""
    if counter.polls >= _MOST_POLLS:
        return conversation
    counter.polls += 1
    try:
        status, loop = conversation.status, asyncio.get_running_loop()
        until = loop.time() + _POLL_SECONDS
        while loop.time() < until and not _newer(conversation, after) and conversation.status == status:
            await asyncio.sleep(_POLL_STEP)
            if await request.is_disconnected():
                break
            conversation = await asyncio.to_thread(counter.visits.read, conversation.id, _token(request))
        return conversation
    finally:
        counter.polls -= 1


def _newer(conversation: DeskConversation, after: str) -> bool:
    return bool(conversation.turns) and conversation.turns[-1].id != after


def _own_page(counters: Mapping[str, DeskCounter], desk: str, request: Request, id: str = "") -> DeskCounter:
    """The desk, for a call of its own frame. It counts for the conversation of a known visitor, else for the address.

    Raises RequestError: 404 for an unknown desk, 403 for another page, 429 for too many calls.
    """
    counter = _counter(counters, desk)
    asked = face_request(request)
    unnamed = request.method == "POST" and not asked.header(b"origin")
    if unnamed or from_other_origin(asked, ()):
        raise RequestError("desk.another_page_sent_this", value="origin", status=403, code="origin_not_allowed")
    address = counter.served.address(request)
    counter.calls.count(f"conversation {id}" if id and counter.known.has(id, _token(request)) else f"address {address}")
    return counter


async def _conversation(counter: DeskCounter, request: Request, id: str) -> DeskConversation:
    """The conversation of a visitor, who is known from now on. Raises RequestError, 404, unless the token fits."""
    token = _token(request)
    found = await asyncio.to_thread(counter.visits.read, id, token)
    counter.known.add(id, token)
    return found


def _counter(counters: Mapping[str, DeskCounter], desk: str) -> DeskCounter:
    if desk not in counters:
        raise RequestError("desk.there_is_no_such_desk", value=desk[:100], status=404, code="desk_not_found")
    return counters[desk]


def _token(request: Request) -> str:
    return request.headers.get(TOKEN_HEADER, "")[:200]


def _clean(text: str, longest: int) -> str:
    """A visitor's words. Raises RequestError, 422, for an empty or a too long text."""
    said = text.strip()
    if not said:
        raise RequestError("desk.text_is_empty", code="empty_text", param="text")
    if len(said) > longest:
        raise RequestError("desk.text_is_too_long", characters=len(said), longest=longest, code="text_too_long", param="text")
    return said


def _origin_of(address: str) -> str:
    """The origin of a page's address; empty if it is none."""
    scheme, separator, rest = address.partition("://")
    host = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    return f"{scheme}://{host}".lower() if separator and scheme in ("http", "https") and host else ""


def _sent(value: Any) -> Response:
    return answer(value, headers={"Cache-Control": "no-store"})


part = face
