"""Calls of tools in OpenAI's form, by a bundle that calls tools.

A call is given only with every argument that its tool needs. Otherwise the answer asks for what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.core.tool_calls import CallMode, FoundCall, ToolAnswer, ToolsAsked
from smidgen.server.models import ServedBundle
from smidgen.server.request import HttpRequest
from smidgen.server.service import Service

_MODES = ("none", "auto", "required")
_MOST_TOOLS = 128


def asked_by(model: ServedBundle, raw: Mapping[str, Any]) -> ToolsAsked | None:
    """Return the tools of a request; None where the bundle calls no tools, or another form of answer is asked for.

    Raises RequestError for tools or a choice that cannot be.
    """
    if not model.task.calls_tools or raw.get("response_format") not in (None, {"type": "text"}):
        return None
    tools = raw.get("tools")
    if raw.get("logprobs") and not tools:  # the score of the answer, which is then a text
        return None
    if tools is not None and (not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools)):
        raise _refused("the tools are no list of tools", type(tools).__name__, "Send a list of functions.", "tools")
    if tools and len(tools) > _MOST_TOOLS:
        raise _refused("there are too many tools", len(tools), f"Send at most {_MOST_TOOLS}.", "tools")
    if odd := next((str(tool.get("type"))[:80] for tool in tools or () if tool.get("type", "function") != "function"), None):
        raise _refused("a tool is no function", odd, "Send tools of the type function.", "tools")
    mode, named = _choice(raw.get("tool_choice"))
    return ToolsAsked(tuple(tools) if tools else None, mode, named)


def _choice(choice: Any) -> tuple[CallMode, str | None]:
    """Return the mode, and the tool that is demanded. Raises RequestError for another choice."""
    if choice is None:
        return "auto", None
    if choice in _MODES:
        return cast("CallMode", choice), None
    if isinstance(choice, Mapping) and choice.get("type") == "function":
        function = choice.get("function", choice)  # the Responses API has the name beside the type
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(name, str) and name:
            return "required", name
    todo = "Give none, auto, required, or a function by its name."
    raise _refused("tool_choice is not supported", json.dumps(choice, default=str)[:120], todo, "tool_choice")


async def answered(service: Service, model: ServedBundle, text: Text, asked: ToolsAsked, request: HttpRequest, param: str) -> ToolAnswer:
    """Return a bundle's answer to a message. Raises RequestError for tools that it can neither call nor be asked about."""
    described = model.task.tool_texts(asked, model.form)
    (reply,) = await service.ask(model, [text], request, param)
    vectors: list[list[float]] = []
    if described:
        try:
            vectors = await service.embed(model, [text, *described], request, "tools")
        except RequestError as error:
            if error.code != "embeddings_not_supported":
                raise
            todo = "Send the tools that it was built with, or build it with the student kernel-tagger."
            raise _refused("this model can call only the tools that it was built with", model.name, todo, "tools") from error
    return model.task.tool_answer(text, reply, asked, model.form, vectors)


def reply_of(answer: ToolAnswer) -> Reply:
    """Return an answer as a reply, for the field `smidgen`."""
    return Reply(answer.output, answer.score, facts=answer.facts)


def called(call: FoundCall, name: str, arguments: str | None = None) -> dict[str, Any]:
    """Return a call in the form of a chat completion. `name`: its id. `arguments`: those to show instead of its own."""
    said = arguments_of(call) if arguments is None else arguments
    return {"id": name, "type": "function", "function": {"name": call.name, "arguments": said}}


def arguments_of(call: FoundCall) -> str:
    """Return the arguments as JSON."""
    return json.dumps(dict(call.arguments), ensure_ascii=False)


def size_of(answer: ToolAnswer) -> str:
    """Return the text by which an answer's size is counted."""
    return answer.content if answer.call is None else answer.call.name + arguments_of(answer.call)


def _refused(what: str, value: object, todo: str, param: str) -> RequestError:
    return RequestError(what, value=value, todo=todo, status=400, code="unsupported_tools", param=param)
