"""Calls of a project's tools: the exact call that would be made, and one that is made once, of a tool that only reads.

A dry run sends nothing and knows no secret: where a secret would stand, it has a mask.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from smidgen.core.conversations import DeskConversation, ProposedCall
from smidgen.core.errors import InputError
from smidgen.flows.local_model import Model
from smidgen.store.calls import CallStore
from smidgen.studio.flows.serving.servers import serving_folder
from smidgen.studio.flows.tool_files.tool_secrets import tool_environment
from smidgen.studio.flows.tool_files.tools import ProjectTools, ToolCard
from smidgen.studio.store.projects import Project
from smidgen.tools.definition import HttpTarget, McpTarget, Tool
from smidgen.tools.environment import VARIABLE
from smidgen.tools.results import ToolResult, answer_text
from smidgen.tools.spoken_arguments import spoken_arguments
from smidgen.tools.toolbox import DryRun, Toolbox, ToolCall, ToolUser

Chooser: TypeAlias = Literal["model", "words", "you"]
"""What found the call in a message: the model that was built, the message's own words, or nothing, as the arguments were given."""
MASK = "•••"
_CHANNEL = "studio"
_running = threading.Lock()


@dataclass(frozen=True, slots=True)
class MessageCall:
    """The call that a message asks for. `tool` is empty if it asks for none."""

    tool: str
    arguments: Mapping[str, Any]
    by: Chooser


def find_call(tools: ProjectTools, message: str, tool: str, model: Model | None) -> MessageCall:
    """The call in a message: by the model, else by what the message says in the form of each argument. No call is made."""
    found = _by_model(model, message) if model is not None else None
    if found is not None and (not tool or found.tool == tool):
        return found
    if not tool:
        return MessageCall("", {}, "words" if model is None else "model")
    known = named_tool(tools, tool)
    return MessageCall(tool, spoken_arguments(known, list(known.properties), message), "words")


def _by_model(model: Model, message: str) -> MessageCall | None:
    """The call that a built model finds: a desk rehearses, which makes no call; a model of calls only names them."""
    desk = getattr(model.runner, "desk", None)
    if desk is not None:
        reply = desk.rehearse(DeskConversation("dry-run", desk.name, _CHANNEL), message).reply
        call = {"tool": reply.call.tool, "arguments": reply.call.arguments} if reply.call is not None else reply.facts.get("call")
    else:
        (reply,) = model.predict([message])
        call = reply.output
    if not isinstance(call, Mapping) or not isinstance(call.get("tool"), str):
        return MessageCall("", {}, "model")
    arguments = call.get("arguments")
    return MessageCall(call["tool"], dict(arguments) if isinstance(arguments, Mapping) else {}, "model")


def named_tool(tools: ProjectTools, name: str) -> Tool:
    """The tool of this name. Raises InputError if there is none that can be used."""
    card = _card(tools, name)
    if card.tool is None or card.mistakes:
        raise InputError("studio.tool_has_mistakes", value=name)
    return card.tool


def _card(tools: ProjectTools, name: str) -> ToolCard:
    for card in tools.cards:
        if (card.tool.name if card.tool is not None else card.key.id) == name:
            return card
    raise InputError("studio.there_is_no_such_tool", value=name)


def dry_run(project: Project, tool: Tool, arguments: Mapping[str, Any], language: str = "") -> DryRun:
    """The exact call, without making it. Every variable stands as its name in the address, and as a mask elsewhere."""
    known = tool_environment(project.id)
    target = tool.target
    lead = VARIABLE.match(target.url) if isinstance(target, HttpTarget) else None
    named = {name for text in _texts(tool) for name in VARIABLE.findall(text)}
    environment = dict.fromkeys(named, MASK)
    stand_in = ""
    if lead is not None:
        stand_in = f"https://{secrets.token_hex(16)}.invalid"
        environment[lead[1]] = stand_in
    with _store(project) as store:
        shown = Toolbox([tool], store, environment).dry_run(ToolCall(tool.name, arguments), language)
    if lead is not None and isinstance(shown.call.get("url"), str):
        shown = replace(shown, call={**shown.call, "url": shown.call["url"].replace(stand_in, f"${{{lead[1]}}}")})
    unset = [name for name in sorted(named) if name not in known]
    if unset and not shown.fault:
        shown = replace(shown, fault=f"a tool needs an environment variable that is not set: {', '.join(unset)}")
    return shown


def _texts(tool: Tool) -> list[str]:
    return [str(tool.target), str(tool.guard)]


def run_once(project: Project, tool: Tool, arguments: Mapping[str, Any], author: str) -> tuple[ToolResult, str]:
    """Make one call of a tool that only reads, within the bounds of every call; returns its result, and what a customer would be told.

    The person who asks has seen the call: that is the yes for which some tools wait. Raises InputError for a tool that changes something,
    or whose server is started by a command.
    """
    if tool.changes:
        raise InputError("studio.tool_changes_something", value=tool.name)
    if isinstance(tool.target, McpTarget) and tool.target.command:
        raise InputError("studio.tool_server_is_program", value=tool.name)
    who = ToolUser(f"studio-{author}", _CHANNEL, author)
    call = ToolCall(tool.name, arguments)
    with _running, _store(project) as store, closing(Toolbox([tool], store, tool_environment(project.id))) as box:
        if not tool.waits:
            result = box.run(call, who)
        else:
            made = box.propose(call, who)
            result = box.decide(made.id, who, True).result if isinstance(made, ProposedCall) else made
    return result, answer_text(tool, arguments, result, "")


@contextmanager
def _store(project: Project) -> Iterator[CallStore]:
    """The store of the calls that are made in the Studio for a project."""
    store = CallStore(serving_folder(project.id) / "studio_calls.db")
    try:
        yield store
    finally:
        store.close()
