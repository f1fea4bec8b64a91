"""Calls of tools by a model whose own template knows of none: they are described in the system's message, and read out of the text.

Where a call is demanded (`tool_choice` is `required` or names a function) the text is held to the functions' schemas, so the call is
always well formed. Where it is left to the model (`auto`), a text that is a call is taken for one, and any other is an answer.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.engines.llama_pieces import Piece, Pieces

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")

_SAY = """You can call these functions:
{functions}
To call one, answer with nothing but a JSON object: {{"name": the function's name, "arguments": {{...}}}}."""


class Tools:
    """The functions of a request, and which of them may, must or must not be called."""

    def __init__(self, tools: Any, choice: Any) -> None:
        self._functions = _functions(tools)
        choice = "auto" if choice is None else choice
        if isinstance(choice, Mapping):
            name = (choice.get("function") or {}).get("name") if isinstance(choice.get("function"), Mapping) else None
            if name not in self._functions:
                todo = f"Name one of: {', '.join(self._functions)}."
                raise _refused("tool_choice names no function of the request", name, todo, "tool_choice")
            self._functions, choice = {name: self._functions[name]}, "required"
        if choice not in ("auto", "none", "required"):
            raise _refused("tool_choice cannot be", choice, "Give none, auto, required, or a function.", "tool_choice")
        self.demanded, self.offered = choice == "required", choice != "none"

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a call."""
        calls = [
            {
                "type": "object",
                "properties": {"name": {"const": name}, "arguments": function.get("parameters") or {"type": "object"}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for name, function in self._functions.items()
        ]
        return calls[0] if len(calls) == 1 else {"anyOf": calls}

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The conversation in plain texts: the functions in the system's message, earlier calls and their results as what was said."""
        plain = [_plain(message) for message in messages]
        if not self.offered:
            return plain
        functions = "\n".join(json.dumps(function, ensure_ascii=False) for function in self._functions.values())
        say = _SAY.format(functions=functions)
        if plain and plain[0].get("role") in ("system", "developer"):
            return [{**plain[0], "content": f"{_text(plain[0].get('content'))}\n\n{say}"}, *plain[1:]]
        return [{"role": "system", "content": say}, *plain]

    def read(self, pieces: Pieces) -> Pieces:
        """The pieces, with a text that is a call made into one. A text is held back while it may be a call."""
        with contextlib.closing(pieces):
            held: list[Piece] = []
            text, maybe = "", self.offered
            for piece in pieces:
                if not maybe:
                    yield piece
                    continue
                held.append(piece)
                text += piece.text
                maybe = text.lstrip()[:1] in ("", "{")
                if maybe and piece.finish is not None:
                    call = self._call(text) if piece.finish == "stop" else None
                    if call is not None:
                        yield Piece(count=sum(one.count for one in held), delta={"tool_calls": [call]})
                        yield Piece(finish="tool_calls", usage=piece.usage)
                        return
                    maybe = False
                if not maybe:
                    yield from held

    def _call(self, text: str) -> dict[str, Any] | None:
        try:
            made = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(made, dict) or made.get("name") not in self._functions or not isinstance(made.get("arguments"), dict):
            return None
        function = {"name": made["name"], "arguments": json.dumps(made["arguments"], ensure_ascii=False)}
        return {"index": 0, "id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}


def _functions(tools: Any) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for tool in tools if isinstance(tools, list) else [tools]:
        function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(name, str) or not _NAME.fullmatch(name) or name in found:
            todo = 'Give each as {"type": "function", "function": {"name": ..., "parameters": {...}}}, with a name of its own.'
            raise _refused("a tool cannot be used", tool, todo, "tools")
        found[name] = function
    return found


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    if message.get("role") == "tool":
        return {"role": "user", "content": f"The function's result: {_text(message.get('content'))}"}
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        said = [_text(message.get("content")), *(_said(call) for call in calls)]
        return {"role": message.get("role"), "content": "\n".join(line for line in said if line)}
    return dict(message)


def _said(call: Any) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        raise _refused("an earlier call of a tool cannot be read", call, "Send it as it was received.", "messages")
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (TypeError, ValueError) as error:
        raise _refused("the arguments of an earlier call are no JSON", call, "Send them as they were received.", "messages") from error
    return json.dumps({"name": function.get("name"), "arguments": arguments}, ensure_ascii=False)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def _refused(what: str, value: object, todo: str, param: str) -> RequestError:
    return RequestError(what, value=value, todo=todo, status=400, param=param)
