"""`/mcp`: each served model, each desk, and each of a desk's tools, as a tool of the Model Context Protocol.

A call that changes something is made only after a person said yes: the client is asked to ask (elicitation), and what then runs is the call
as it was shown. A text decides nothing here: an agent writes it. A client that cannot ask gets no such call made.

Requests are stateless, except those of clients older than protocol 2026 that can ask. Such a client gets the question while its call waits,
and answers it in another request, so both belong to a session (`caller_sessions.py`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.routing import Route

from smidgen.core.errors import RequestError, SmidgenError, install_line
from smidgen.core.version import VERSION
from smidgen.server.mcp.caller_sessions import CallerSessions
from smidgen.server.models import ServedBundle, input_of
from smidgen.server.request import face_router
from smidgen.server.service import Service

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult, InputRequiredResult
    from mcp_types import Tool as McpTool
    from starlette.requests import Request

_MOST_BODY = 1_000_000
_CONFIRM = "confirm"
_ANSWER_SECONDS = 300.0
"""Seconds that a call waits for a person's answer. An older client's question only: newer ones call again with the answer."""
_MOST_WAITING = 64
"""Most calls that wait for a person, at most a quarter of all requests."""
_MOST_QUESTIONS = 4
"""Most questions in one call."""


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
            line = install_line("desk")
            raise RequestError("core.package_is_not_installed", value="mcp", line=line, status=501, code="not_installed")
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
                    return refused(f"{yes}: nothing was changed")
                made = await asyncio.to_thread(found.run, replace(asked, yes=yes, state=made.request_state or ""))
            return made if isinstance(made, CallToolResult) else refused("there are too many questions in one call; ask again")
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
    for name, shown in service.shown.items():
        for tool in shown.tools("" if len(service.shown) == 1 else f"{slug(name)}_"):
            found.setdefault(tool.told.name, tool)
    for model in service.models.values():
        if model.name not in service.shown:
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
            return refused("text is missing")
        service.check(model, [input_of(model, [text])], "text")
        (reply,) = model.predict([input_of(model, [text])])
        shown = {"output": reply.output, "score": round(reply.score, 6)}
        return CallToolResult(content=[TextContent(text=model.task.content(reply))], structured_content=shown)

    schema = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
    told = McpTool(
        name=slug(model.name),
        description=model.form.purpose(str) or model.task.summary,
        input_schema=schema,
        annotations=ToolAnnotations(read_only_hint=True),
    )
    return OfferedTool(told, run)


def question(words: str, state: str) -> InputRequiredResult:
    """The question that the client must put to a person before the call is made."""
    from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

    schema = {"type": "object", "properties": {_CONFIRM: {"type": "boolean", "title": words}}, "required": [_CONFIRM]}
    asked = ElicitRequest(params=ElicitRequestFormParams(message=f"{words}?", requested_schema=schema))
    return InputRequiredResult(input_requests={_CONFIRM: asked}, request_state=state)


def refused(why: str) -> CallToolResult:
    """Return the result of a call that was not made, with the reason."""
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(text=f"{why[0].upper()}{why[1:]}.")], is_error=True)


def slug(name: str) -> str:
    """Return a name as one of a tool."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64] or "model"


part = face
