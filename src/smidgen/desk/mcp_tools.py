"""A desk and its tools for MCP clients.

A call that changes something is made only after a person said yes: the client is asked to ask. A text decides nothing here: an agent writes
it. A client that cannot ask gets no such call made.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from smidgen.core.conversations import Answering
from smidgen.desk.answering import LONGEST_MESSAGE, Desk
from smidgen.desk.reply_json import reply_output
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.tables import ConversationMissing
from smidgen.desk.texts import decision
from smidgen.server.mcp.model_tools import AskedCall, OfferedTool, question, refused
from smidgen.tools.definition import Tool
from smidgen.tools.results import ToolResult, answer_text
from smidgen.tools.toolbox import ToolCall, ToolUser

if TYPE_CHECKING:
    from mcp_types import CallToolResult, InputRequiredResult
    from starlette.requests import Request

CHANNEL = "mcp"
_CANNOT_ASK = (
    "a person must say yes to this, and this client cannot ask one: nothing was changed. Use a client that asks people (elicitation), or "
    "the chat or mail"
)
_MESSAGE = {"type": "string", "minLength": 1, "maxLength": LONGEST_MESSAGE, "description": "The customer's words."}
_CONVERSATION = {
    "type": "string",
    "maxLength": 64,
    "description": "The conversation to go on with, from an earlier answer; none begins one.",
}


class DeskAtWork(Protocol):
    """A served desk, as its tools see it: `ServedDesk`."""

    @property
    def desk(self) -> Answering:
        """The desk."""

    @property
    def store(self) -> ConversationStore:
        """The store of its conversations."""

    def address(self, request: Request) -> str:
        """Return the network address of who asks."""


def desk_tools(served: DeskAtWork, prefix: str) -> list[OfferedTool]:
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


def _origin(served: DeskAtWork, asked: AskedCall) -> str:
    """The client's network address; empty if it is unknown."""
    return served.address(asked.request) if asked.request is not None else ""


def _asked(served: DeskAtWork, asked: AskedCall) -> CallToolResult | InputRequiredResult:
    """The desk's answer to a message, with the conversation to go on with. A call that it proposes is put to a person."""
    from mcp_types import CallToolResult, TextContent

    of, _, call = asked.state.partition(".")
    decided = asked.yes is not None and asked.can_ask and bool(call)
    message, id = asked.arguments.get("message"), of if decided else asked.arguments.get("conversation")
    if not isinstance(message, str) or not message.strip() or len(message) > LONGEST_MESSAGE:
        return refused(f"message is a text of at most {LONGEST_MESSAGE:,} characters")
    if id:
        try:
            conversation = served.store.conversation(str(id))
        except ConversationMissing:
            return refused("there is no such conversation; leave it out to begin one")
        if conversation.channel != CHANNEL or conversation.desk != served.desk.name:
            return refused("there is no such conversation; leave it out to begin one")
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
            return refused("a person must say yes to this, and a message on this channel is not a person's: nothing was changed")
        found = served.desk.answer(conversation, message)
    served.store.record(conversation, message, found)
    if found.reply.outcome == "proposed" and found.reply.call is not None and asked.can_ask:
        return question(found.reply.call.words, f"{conversation.id}.{found.reply.call.id}")
    note = f"\n({_CANNOT_ASK[0].upper()}{_CANNOT_ASK[1:]}.)" if found.reply.outcome == "proposed" else ""
    return CallToolResult(
        content=[TextContent(text=f"{found.reply.text}{note}")],
        structured_content={"conversation": conversation.id, **reply_output(found.reply)},
    )


def _caller(served: DeskAtWork, desk: Desk, tool: Tool) -> Callable[[AskedCall], CallToolResult | InputRequiredResult]:
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
                return refused("this question is no longer open; nothing was changed")
            if not yes:
                return refused("the person said no; nothing was changed")
            return _told(decided.tool, decided.arguments, decided.result)
        if not asked.can_ask:
            return refused(_CANNOT_ASK)
        conversation = f"mcp-{secrets.token_hex(16)}"
        made = toolbox.propose(ToolCall(tool.name, arguments), ToolUser(conversation, CHANNEL, origin=origin))
        return _told(tool, arguments, made) if isinstance(made, ToolResult) else question(made.words, f"{conversation}.{made.id}")

    return run


def _told(tool: Tool, arguments: Mapping[str, Any], result: ToolResult) -> CallToolResult:
    """The result of a call, in words and as data."""
    from mcp_types import CallToolResult, TextContent

    text = answer_text(tool, arguments, result) or json.dumps([dict(row) for row in result.rows], ensure_ascii=False)
    shown = {"status": result.status, "rows": [dict(row) for row in result.rows]}
    return CallToolResult(content=[TextContent(text=text)], structured_content=shown, is_error=result.status not in ("ok", "nothing"))
