"""Chat completions of a model that writes: a lone message is answered as it was taught, a conversation by the chat template of its file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import Request
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.server.answers import counted, extra
from smidgen.server.bodies import ChatRequest
from smidgen.server.errors import answer
from smidgen.server.events import DONE, event, respond
from smidgen.server.logprobs import need, of_chat
from smidgen.server.scribe import Sheet, Source, as_they_come
from smidgen.server.served import Served
from smidgen.server.service import Service

_SYSTEM = ("system", "developer")
Choices = Sequence[tuple[Sequence[int], Sheet]]
"""The texts of a request, each with the numbers of the choices that it is."""


def taught(body: ChatRequest, raw: Mapping[str, Any]) -> bool:
    """Whether a request is of the kind that the model was taught: one message of the user, and no tools. Words to the system change
    nothing: the model has its own instruction."""
    said = [message.role for message in body.messages if message.role not in _SYSTEM]
    return said == ["user"] and not raw.get("tools")


async def converse(
    service: Service, model: Served, body: ChatRequest, head: dict[str, Any], text: Text | None, request: Request
) -> Response:
    """The response to a chat completion request. `text` is the message that is answered as taught; None for a conversation."""
    need(model, bool(body.logprobs))
    count = body.n or 1
    own = count if body.drawn() else 1  # the likeliest text is the same each time: it is written once
    if text is not None:
        service.check(model, [text], "messages")
        options = {**body.options(), "logprobs": (body.top_logprobs or 0) if body.logprobs else 0}
        sources: list[Source] = [partial(model.write, text, **options, seed=seed) for seed in body.seeds(own)]
    else:
        raw = {**await request.json(), "n": 1}
        _check_all(service, raw)
        sources = [partial(model.converse, {**raw, "seed": seed}) for seed in body.seeds(own)]
    sheets = service.write(model, sources)
    choices = list(zip([[number] for number in range(own)] if own == count else [list(range(count))], sheets, strict=True))

    def whole(read: Sequence[Sequence[Reply]]) -> Response:
        finals = [replies[-1] for replies in read]
        said = [
            choice for (places, _), replies in zip(choices, read, strict=True) for choice in _choices(service, model, body, places, replies)
        ]
        sizes = counted(finals, each=own, copies=count // own)
        return answer({**head, "object": "chat.completion", "choices": said, "usage": sizes, "smidgen": extra(model, finals[0])})

    return await respond(service, request, sheets, _events(service, model, body, head, choices) if body.stream else None, whole)


def _choices(service: Service, model: Served, body: ChatRequest, places: Sequence[int], replies: Sequence[Reply]) -> list[dict[str, Any]]:
    """The choices that one text is."""
    service.wrote(model, replies[-1])
    said = {
        "message": _message(replies),
        "logprobs": of_chat(replies) if body.logprobs else None,
        "finish_reason": replies[-1].piece.finish,
        "smidgen": extra(model, replies[-1]),
    }
    return [{"index": place, **said} for place in places]


async def _events(service: Service, model: Served, body: ChatRequest, head: Mapping[str, Any], choices: Choices) -> AsyncIterator[bytes]:
    """The chunks of the texts: the role of each choice, the pieces of all as they are written, of each the end with the field `smidgen`;
    then the usage where asked, `[DONE]`."""
    wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    common = {**head, "object": "chat.completion.chunk", **({"usage": None} if wants_usage else {})}
    finals: list[Reply] = []

    def chunk(places: Sequence[int], delta: dict[str, Any], finish: str | None = None, logs: Any = None, **more: Any) -> bytes:
        said = [{"index": place, "delta": delta, "logprobs": logs, "finish_reason": finish} for place in places]
        return event({**common, "choices": said, **more})

    for places, _ in choices:
        yield chunk(places, {"role": "assistant", "content": ""})
    async for number, reply in as_they_come([sheet for _, sheet in choices]):
        places, _ = choices[number]
        logs = of_chat([reply]) if body.logprobs and reply.piece.tokens else None
        delta = _delta(reply)
        if delta or logs:
            yield chunk(places, delta or {"content": ""}, logs=logs)
        if reply.final:
            service.wrote(model, reply)
            finals.append(reply)
            yield chunk(places, {}, reply.piece.finish, smidgen=extra(model, reply))
    if wants_usage:
        count = sum(len(places) for places, _ in choices)
        sizes = counted(finals, each=len(finals), copies=count // len(finals))
        yield event({**common, "choices": [], "usage": sizes})
    yield DONE


def _delta(reply: Reply) -> dict[str, Any]:
    """What a piece changes in the message, as OpenAI's chunk has it."""
    if reply.piece.delta is None:
        return {"content": reply.piece.text} if reply.piece.text else {}
    return {name: value for name, value in reply.piece.delta.items() if name != "role" and value}


def _message(replies: Sequence[Reply]) -> dict[str, Any]:
    """The whole message of a text's pieces."""
    content, thought = [], []
    calls: dict[int, dict[str, Any]] = {}
    for delta in map(_delta, replies):
        content.append(delta.get("content", ""))
        thought.append(delta.get("reasoning_content", ""))
        for call in delta.get("tool_calls", ()):
            held = calls.setdefault(call.get("index", 0), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
            held["id"] = call.get("id") or held["id"]
            for name, value in call.get("function", {}).items():
                held["function"][name] = held["function"].get(name, "") + (value or "")
    said = "".join(content)
    message: dict[str, Any] = {"role": "assistant", "content": said if said or not calls else None, "refusal": None}
    if any(thought):
        message["reasoning_content"] = "".join(thought)
    if calls:
        message["tool_calls"] = [calls[place] for place in sorted(calls)]
    return message


def _check_all(service: Service, raw: Mapping[str, Any]) -> None:
    """Raise RequestError for a conversation with a text that is past the limits, or that cannot be read."""
    for message in raw["messages"]:
        content = message.get("content")
        parts = [content] if isinstance(content, str) else [part.get("text") or "" for part in content or ()]
        for text in parts:
            if text.strip():  # an assistant's message may be empty: it called a tool
                service.check_text(text, "messages")
    try:
        json.dumps(raw, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise RequestError(
            "the text is not valid Unicode", value="a lone surrogate", todo="Send it in UTF-8.", code="invalid_unicode", param="messages"
        ) from None
