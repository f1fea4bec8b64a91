"""`/mcp`: each served model, each desk, and each of a desk's tools, as a tool of the Model Context Protocol.

A call that changes something is made only after a person said yes: the client is asked to ask (elicitation), and what then runs is the call
as it was shown. A text decides nothing here: an agent writes it. A client that cannot ask gets no such call made.

Requests are stateless, except those of clients older than protocol 2026 that can ask. Such a client gets the question while its call waits,
and answers it in another request, so both belong to a session (`caller_sessions.py`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.routing import Route

from smidgen.apps.desk.desk import LONGEST_MESSAGE, Desk
from smidgen.apps.desk.reply_json import reply_output
from smidgen.apps.desk.texts import decision
from smidgen.apps.tools.definition import Tool
from smidgen.apps.tools.results import ToolResult, answer_text
from smidgen.apps.tools.toolbox import ToolCall, ToolUser
from smidgen.core.errors import MissingExtra, RequestError, SmidgenError
from smidgen.core.version import VERSION
from smidgen.server.desk.served_desk import ServedDesk
from smidgen.server.http_request import face_router
from smidgen.server.mcp.caller_sessions import CallerSessions
from smidgen.server.served_bundle import ServedBundle, input_of
from smidgen.server.service import Service
from smidgen.store.conversations.tables import ConversationMissing

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult, InputRequiredResult
    from mcp_types import Tool as McpTool
    from starlette.requests import Request

CHANNEL = "mcp"
_MOST_BODY = 1_000_000
_CONFIRM = "confirm"
_CANNOT_ASK = (
    "a person must say yes to this, and this client cannot ask one: nothing was changed. Use a client that asks people (elicitation), or "
    "the chat or mail"
)
_ANSWER_SECONDS = 300.0
"""Seconds that a call waits for a person's answer. An older client's question only: newer ones call again with the answer."""
_MOST_WAITING = 64
"""Most calls that wait for a person, at most a quarter of all requests."""
_MOST_QUESTIONS = 4
"""Most questions in one call."""
_MESSAGE = {"type": "string", "minLength": 1, "maxLength": LONGEST_MESSAGE, "description": "The customer's words."}
_CONVERSATION = {
    "type": "string",
    "maxLength": 64,
    "description": "The conversation to go on with, from an earlier answer; none begins one.",
}


@dataclass(frozen=True)
class OfferedTool:
    """A tool of the face: what clients see, and what runs it."""

    told: McpTool
    run: Callable[[AskedCall], CallToolResult | InputRequiredResult]


@dataclass(frozen=True)
class AskedCall:
    """A call as a client asks for it.

    Attributes:
        arguments: the tool's.
        yes: a person's answer to the question for a yes; None if none came with the request.
        state: what that answer belongs to.
        request: the HTTP request, if there is one.
        can_ask: whether the client can put a question to a person.
    """

    arguments: Mapping[str, Any]
    yes: bool | None = None
    state: str = ""
    request: Request | None = None
    can_ask: bool = False


def face(service: Service) -> APIRouter:
    """Return the route. Its library is loaded by the first request."""
    router = face_router("MCP")
    made: list[Server[Any]] = []
    sessions = CallerSessions(_MOST_BODY)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        await sessions.close()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if importlib.util.find_spec("mcp") is None:
            missing = MissingExtra("mcp", "desk")
            raise RequestError(missing.what, value=missing.value, todo=missing.todo, status=501, code="not_installed")
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        if not made:
            made.append(await asyncio.to_thread(_server, service))
        kept, receive = await sessions.takes(scope, receive)
        if kept:
            await sessions.answer(made[0], scope, receive, send)
            return
        manager = StreamableHTTPSessionManager(made[0], json_response=True, stateless=True, max_request_body_size=_MOST_BODY)
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    class Asked:
        """The face as an endpoint, which gets the request as it came."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await answer(scope, receive, send)

    # No GET: nothing is sent to a client but in the answer to its request.
    router.routes.append(Route("/mcp", Asked(), methods=["POST", "DELETE"], include_in_schema=False))
    router.lifespan_context = lifespan
    return router


def _server(service: Service) -> Server[Any]:
    """Create the server. Its tools are found anew for each request: a line's champion may have changed."""
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult, ListToolsResult, TextContent
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS

    questions = _Questions(min(_MOST_WAITING, max(1, service.settings.limits.max_concurrent // 4)))

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[one.told for one in _offered(service).values()])

    async def call_tool(context: Any, params: Any) -> CallToolResult | InputRequiredResult:
        found = _offered(service).get(params.name)
        if found is None:
            return CallToolResult(content=[TextContent(text=f"There is no tool {params.name!r}.")], is_error=True)
        modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        can_ask = _asks_people(context.session) and (modern or context.session.can_send_request)
        asked = AskedCall(params.arguments or {}, request=context.request, can_ask=can_ask)
        try:
            if modern:
                return await asyncio.to_thread(found.run, replace(asked, yes=_said(params), state=params.request_state or ""))
            made = await asyncio.to_thread(found.run, asked)
            for _ in range(_MOST_QUESTIONS):
                if isinstance(made, CallToolResult):
                    return made
                yes = await questions.put(context, made)
                if isinstance(yes, str):
                    return _wrong(f"{yes}: nothing was changed")
                made = await asyncio.to_thread(found.run, replace(asked, yes=yes, state=made.request_state or ""))
            return made if isinstance(made, CallToolResult) else _wrong("there are too many questions in one call; ask again")
        except SmidgenError as error:
            return CallToolResult(content=[TextContent(text=str(error))], is_error=True)

    return Server("smidgen", version=VERSION, on_list_tools=list_tools, on_call_tool=call_tool)


class _Questions:
    """Puts questions to people whose clients get them while a call waits, at most some at a time."""

    def __init__(self, most: int) -> None:
        self._left = most

    async def put(self, context: Any, made: InputRequiredResult) -> bool | str:
        """Return whether a person said yes, or why there is no answer."""
        from mcp.shared.exceptions import MCPError
        from mcp.shared.message import ServerMessageMetadata
        from mcp_types import ElicitResult
        from pydantic import ValidationError

        if not self._left:
            return "too many calls wait for a person"
        self._left -= 1
        try:
            question = (made.input_requests or {})[_CONFIRM]
            belongs = ServerMessageMetadata(related_request_id=context.request_id)
            return _is_yes(await context.session.send_request(question, ElicitResult, _ANSWER_SECONDS, belongs))
        except (MCPError, ValidationError):
            return "no person answered"
        finally:
            self._left += 1


def _asks_people(session: Any) -> bool:
    """Whether the client can put a form to a person."""
    able = session.client_capabilities.elicitation if session.client_capabilities is not None else None
    return able is not None and (able.form is not None or able.url is None)


def _said(params: Any) -> bool | None:
    """A person's answer to the question for a yes; None if none came with the request."""
    answered = (params.input_responses or {}).get(_CONFIRM)
    return None if answered is None else _is_yes(answered)


def _is_yes(answered: Any) -> bool:
    """Whether an answer to the question is a yes."""
    content = getattr(answered, "content", None) or {}
    return getattr(answered, "action", "") == "accept" and content.get(_CONFIRM) is True


def _offered(service: Service) -> dict[str, OfferedTool]:
    """All tools, by name. Where two have one name, the first keeps it."""
    found: dict[str, OfferedTool] = {}
    for name, served in service.desks.items():
        prefix = "" if len(service.desks) == 1 else f"{_slug(name)}_"
        for tool in _of_desk(served, prefix):
            found.setdefault(tool.told.name, tool)
    for model in service.models.values():
        if model.name not in service.desks:
            tool = _of_model(service, model)
            found.setdefault(tool.told.name, tool)
    return found


def _of_model(service: Service, model: ServedBundle) -> OfferedTool:
    """A served model: a text in, its answer out."""
    from mcp_types import CallToolResult, TextContent, ToolAnnotations
    from mcp_types import Tool as McpTool

    def run(asked: AskedCall) -> CallToolResult:
        text = asked.arguments.get("text")
        if not isinstance(text, str) or not text.strip():
            return _wrong("text is missing")
        service.check(model, [input_of(model, [text])], "text")
        (reply,) = model.predict([input_of(model, [text])])
        shown = {"output": reply.output, "score": round(reply.score, 6)}
        return CallToolResult(content=[TextContent(text=model.task.content(reply))], structured_content=shown)

    schema = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
    told = McpTool(
        name=_slug(model.name),
        description=model.form.purpose(str) or model.task.summary,
        input_schema=schema,
        annotations=ToolAnnotations(read_only_hint=True),
    )
    return OfferedTool(told, run)


def _of_desk(served: ServedDesk, prefix: str) -> list[OfferedTool]:
    """A desk that is asked as a customer would, and each of its tools."""
    from mcp_types import Tool as McpTool
    from mcp_types import ToolAnnotations

    def ask(asked: AskedCall) -> CallToolResult | InputRequiredResult:
        return _asked(served, asked)

    schema = {"type": "object", "properties": {"message": _MESSAGE, "conversation": _CONVERSATION}, "required": ["message"]}
    about = "Ask the desk as a customer would: it answers from the business's documents, looks things up, and says what it does not know."
    desk = served.desk
    changes = not isinstance(desk, Desk) or desk.toolbox is None or any(tool.changes for tool in desk.toolbox.tools)
    hints = ToolAnnotations(read_only_hint=False, destructive_hint=changes, open_world_hint=False)
    offered = [OfferedTool(McpTool(name=f"{prefix}ask", description=about, input_schema=schema, annotations=hints), ask)]
    if not isinstance(desk, Desk) or desk.toolbox is None:
        return offered
    for tool in desk.toolbox.tools:
        hints = ToolAnnotations(read_only_hint=not tool.changes, destructive_hint=tool.changes)
        told = McpTool(name=f"{prefix}{tool.name}", description=tool.description, input_schema=dict(tool.schema), annotations=hints)
        offered.append(OfferedTool(told, _caller(served, desk, tool)))
    return offered


def _origin(served: ServedDesk, asked: AskedCall) -> str:
    """The client's network address; empty if it is unknown."""
    return served.address(asked.request) if asked.request is not None else ""


def _asked(served: ServedDesk, asked: AskedCall) -> CallToolResult | InputRequiredResult:
    """The desk's answer to a message, with the conversation to go on with. A call that it proposes is put to a person."""
    from mcp_types import CallToolResult, TextContent

    of, _, call = asked.state.partition(".")
    decided = asked.yes is not None and asked.can_ask and bool(call)
    message, id = asked.arguments.get("message"), of if decided else asked.arguments.get("conversation")
    if not isinstance(message, str) or not message.strip() or len(message) > LONGEST_MESSAGE:
        return _wrong(f"message is a text of at most {LONGEST_MESSAGE:,} characters")
    if id:
        try:
            conversation = served.store.conversation(str(id))
        except ConversationMissing:
            return _wrong("there is no such conversation; leave it out to begin one")
        if conversation.channel != CHANNEL or conversation.desk != served.desk.name:
            return _wrong("there is no such conversation; leave it out to begin one")
    else:
        conversation = served.store.open_conversation(served.desk.name, CHANNEL)
    if conversation.status == "with_person":
        served.store.record(conversation, message, None)
        return CallToolResult(
            content=[TextContent(text="A person has this conversation.")], structured_content={"conversation": conversation.id}
        )
    conversation = replace(conversation, origin=_origin(served, asked))
    if decided:
        found, message = served.desk.decide(conversation, call, bool(asked.yes)), "yes" if asked.yes else "no"
    else:
        waiting = conversation.state.get("waiting")
        if isinstance(waiting, Mapping) and decision(message, str(waiting.get("words", ""))):
            return _wrong("a person must say yes to this, and a message on this channel is not a person's: nothing was changed")
        found = served.desk.answer(conversation, message)
    served.store.record(conversation, message, found)
    if found.reply.outcome == "proposed" and found.reply.call is not None and asked.can_ask:
        return _question(found.reply.call.words, f"{conversation.id}.{found.reply.call.id}")
    note = f"\n({_CANNOT_ASK[0].upper()}{_CANNOT_ASK[1:]}.)" if found.reply.outcome == "proposed" else ""
    return CallToolResult(
        content=[TextContent(text=f"{found.reply.text}{note}")],
        structured_content={"conversation": conversation.id, **reply_output(found.reply)},
    )


def _caller(served: ServedDesk, desk: Desk, tool: Tool) -> Callable[[AskedCall], CallToolResult | InputRequiredResult]:
    """Runs a tool: at once if it may, else after a person's yes."""

    def run(asked: AskedCall) -> CallToolResult | InputRequiredResult:
        toolbox, arguments, yes, origin = desk.toolbox, asked.arguments, asked.yes, _origin(served, asked)
        assert toolbox is not None
        if not tool.waits:
            user = ToolUser(f"mcp-{secrets.token_hex(8)}", CHANNEL, origin=origin)
            return _told(tool, arguments, toolbox.run(ToolCall(tool.name, arguments), user))
        conversation, _, proposed = asked.state.partition(".")
        if yes is not None and proposed and asked.can_ask:
            decided = toolbox.decide(proposed, ToolUser(conversation, CHANNEL, origin=origin), yes, tool.name)
            if decided.tool is None:
                return _wrong("this question is no longer open; nothing was changed")
            if not yes:
                return _wrong("the person said no; nothing was changed")
            return _told(decided.tool, decided.arguments, decided.result)
        if not asked.can_ask:
            return _wrong(_CANNOT_ASK)
        conversation = f"mcp-{secrets.token_hex(16)}"
        made = toolbox.propose(ToolCall(tool.name, arguments), ToolUser(conversation, CHANNEL, origin=origin))
        return _told(tool, arguments, made) if isinstance(made, ToolResult) else _question(made.words, f"{conversation}.{made.id}")

    return run


def _question(words: str, state: str) -> InputRequiredResult:
    """The question that the client must put to a person before the call is made."""
    from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

    schema = {"type": "object", "properties": {_CONFIRM: {"type": "boolean", "title": words}}, "required": [_CONFIRM]}
    asked = ElicitRequest(params=ElicitRequestFormParams(message=f"{words}?", requested_schema=schema))
    return InputRequiredResult(input_requests={_CONFIRM: asked}, request_state=state)


def _told(tool: Tool, arguments: Mapping[str, Any], result: ToolResult) -> CallToolResult:
    """The result of a call, in words and as data."""
    from mcp_types import CallToolResult, TextContent

    text = answer_text(tool, arguments, result) or json.dumps([dict(row) for row in result.rows], ensure_ascii=False)
    shown = {"status": result.status, "rows": [dict(row) for row in result.rows]}
    return CallToolResult(content=[TextContent(text=text)], structured_content=shown, is_error=result.status not in ("ok", "nothing"))


def _wrong(why: str) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(text=f"{why[0].upper()}{why[1:]}.")], is_error=True)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64] or "model"


part = face
