"""`/v1/chat/completions`: answer the last user message, in the API that every OpenAI client speaks.

A model that writes answers a lone message as it was trained, and a conversation by the chat template in its file.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.core.parts import dialogue_text
from smidgen.core.replies import Reply
from smidgen.core.tool_calls import ToolAnswer
from smidgen.server.models import GenerationSource, ServedBundle, input_of
from smidgen.server.openai.answers import (
    DONE,
    Facts,
    LocalAnswer,
    NumberedReplies,
    TextFace,
    answer_with_tools,
    call_arguments,
    call_json,
    counted_text,
    event,
    refusal_of,
    requested_format,
    requested_tools,
    tool_reply,
    tool_result,
)
from smidgen.server.openai.request_bodies import ChatMessage, ChatRequest
from smidgen.server.reply_json import Extra, Usage, chat_logprobs, counted_usage, require_logprobs, smidgen_field, token_logprob, usage
from smidgen.server.request import HttpRequest, face_request, face_router, fresh_id
from smidgen.server.service import Service

_SYSTEM = ("system", "developer")


def is_single_message(body: ChatRequest, raw: Mapping[str, Any]) -> bool:
    """Return True if a request is of the kind that the model was trained on: one user message, and no tools.

    A system prompt changes nothing, because the model has its own instruction.
    """
    roles = [message.role for message in body.messages if message.role not in _SYSTEM]
    return roles == ["user"] and not raw.get("tools")


class WrittenChat:
    """Chat completions of a model that writes: `own` texts, given as the choices that the body asks for."""

    def __init__(self, model: ServedBundle, body: ChatRequest, head: Mapping[str, Any], own: int) -> None:
        self._model, self._body, self._head = model, body, head
        count = body.n or 1
        self._places = [[number] for number in range(own)] if own == count else [list(range(count))]

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return one object with all choices."""
        finals = [replies[-1] for replies in read]
        choices = [choice for places, replies in zip(self._places, read, strict=True) for choice in self._choices(places, replies)]
        extra = {**smidgen_field(self._model, finals[0]), **facts}
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": self._usage(finals), "smidgen": extra}

    async def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield the role of each choice, the pieces as they are written, each end with the field `smidgen`, usage if asked for,
        `[DONE]`."""
        wants_usage = _wants_usage(self._body)
        common = {**self._head, "object": "chat.completion.chunk", **({"usage": None} if wants_usage else {})}
        finals: list[Reply] = []

        def chunk(places: Sequence[int], delta: dict[str, Any], finish: str | None = None, logs: Any = None, **more: Any) -> bytes:
            choices = [{"index": place, "delta": delta, "logprobs": logs, "finish_reason": finish} for place in places]
            return event({**common, "choices": choices, **more})

        for places in self._places:
            yield chunk(places, {"role": "assistant", "content": ""})
        async for number, reply in replies:
            places = self._places[number]
            logs = chat_logprobs([reply]) if self._body.logprobs and reply.piece.tokens else None
            delta = _delta(reply)
            if delta or logs:
                yield chunk(places, delta or {"content": ""}, logs=logs)
            if reply.final:
                finals.append(reply)
                yield chunk(places, {}, reply.piece.finish, smidgen={**smidgen_field(self._model, reply), **facts})
        if wants_usage:
            yield event({**common, "choices": [], "usage": self._usage(finals)})
        yield DONE

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return the contents of all messages."""
        return "".join(_message(replies)["content"] or "" for replies in read)

    def _choices(self, places: Sequence[int], replies: Sequence[Reply]) -> list[dict[str, Any]]:
        """Return one text as choices."""
        choice = {
            "message": _message(replies),
            "logprobs": chat_logprobs(replies) if self._body.logprobs else None,
            "finish_reason": replies[-1].piece.finish,
            "smidgen": smidgen_field(self._model, replies[-1]),
        }
        return [{"index": place, **choice} for place in places]

    def _usage(self, finals: Sequence[Reply]) -> dict[str, Any]:
        return counted_usage(finals, each=len(finals), copies=sum(map(len, self._places)) // len(finals))


def _write(service: Service, model: ServedBundle, body: ChatRequest, head: dict[str, Any], request: HttpRequest) -> LocalAnswer:
    """Start the answer of a model that writes."""
    raw = request.json or {}
    text = input_of(model, _user_text(body.messages)) if is_single_message(body, raw) else None
    require_logprobs(model, bool(body.logprobs))
    count = body.n or 1
    own = count if body.drawn() else 1  # without sampling all texts are equal, so one is written
    if text is not None:
        service.check(model, [text], "messages")
        options = {**body.options(), "logprobs": (body.top_logprobs or 0) if body.logprobs else 0}
        sources: list[GenerationSource] = [partial(model.write, text, **options, seed=seed) for seed in body.seeds(own)]
    else:
        _check_all(service, raw)
        sources = [partial(model.converse, {**raw, "n": 1, "seed": seed}) for seed in body.seeds(own)]
    form = WrittenChat(model, body, head, own)
    return LocalAnswer(service, model, request, form, streamed=bool(body.stream), generations=service.write(model, sources))


def _wants_usage(body: ChatRequest) -> bool:
    return body.stream_options is not None and bool(body.stream_options.include_usage)


def _delta(reply: Reply) -> dict[str, Any]:
    """Return the change of the message by a piece, as in OpenAI's chunk."""
    if reply.piece.delta is None:
        return {"content": reply.piece.text} if reply.piece.text else {}
    return {name: value for name, value in reply.piece.delta.items() if name != "role" and value}


def _message(replies: Sequence[Reply]) -> dict[str, Any]:
    """Return the whole message from a text's pieces."""
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
    text = "".join(content)
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if any(thought):
        message["reasoning_content"] = "".join(thought)
    if calls:
        message["tool_calls"] = [calls[place] for place in sorted(calls)]
    return message


def _check_all(service: Service, raw: Mapping[str, Any]) -> None:
    """Raise RequestError for a conversation with a text beyond the limits or with invalid Unicode."""
    for message in raw["messages"]:
        content = message.get("content")
        parts = [content] if isinstance(content, str) else [part.get("text") or "" for part in content or ()]
        for text in parts:
            if text.strip():  # an assistant's message with a tool call may be empty
                service.check_text(text, "messages")
    try:
        json.dumps(raw, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise RequestError("server.text_is_not_valid_unicode", code="invalid_unicode", param="messages") from None


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChatChoice(BaseModel):
    """One choice. For a model that writes, it has the field `smidgen`, too."""

    index: int
    message: AssistantMessage
    logprobs: dict[str, Any] | None = None
    finish_reason: Literal["stop", "length", "tool_calls"]
    smidgen: Extra | None = None


class ChatCompletion(BaseModel):
    """A chat completion, with the field `smidgen` beside OpenAI's."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str
    smidgen: Extra


async def ask(service: Service, model: ServedBundle, body: ChatRequest, request: HttpRequest) -> LocalAnswer:
    """Return a bundle's answer to a chat completion request."""
    head = {
        "id": f"chatcmpl-{fresh_id()}",
        "created": int(time.time()),
        "model": model.name,
        "system_fingerprint": model.id,
    }
    if model.at_once:
        return _write(service, model, body, head, request)
    tools = requested_tools(model, request.json or {})
    if tools is not None and body.messages[-1].role == "tool":
        return _tool_result(service, model, body, head, request)
    pieces = _user_text(body.messages)
    text = dialogue_text(model.task, _texts(body.messages)) or input_of(model, pieces)
    requested = requested_format(body.response_format, model.form)
    if tools is not None:
        answer = await answer_with_tools(service, model, text, tools, request, "messages")
        sizes = usage([text], [counted_text(answer)] * (body.n or 1))
        plain = tools.tools is None and tools.mode != "required" and tools.named is None
        beside = model.task.content(Reply(answer.output, 1.0)) if plain else None
        called = CalledChat(model, body, head, answer, sizes, beside)
        return LocalAnswer(service, model, request, called, streamed=bool(body.stream), read=[[tool_reply(answer)]])
    (reply,) = await service.ask(model, [text], request, "messages")
    content = requested.content(model.task, model.form, reply, text)
    logs = _logs(body, model, reply, content) if requested.field is None else None
    form = AnsweredChat(model, body, head, content, usage([text], [content] * (body.n or 1)), logs)
    return LocalAnswer(service, model, request, form, streamed=bool(body.stream), read=[[reply]])


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("OpenAI")

    @router.post("/v1/chat/completions", response_model=ChatCompletion, summary="Answer the last message of the user")
    async def chat(body: ChatRequest, request: Request) -> Response:
        received = face_request(request)
        return await (await ask(service, service.find(body.model, received), body, received)).response()

    return router


class AnsweredChat:
    """A chat completion of a bundle that does not write: one answer, repeated for each choice."""

    def __init__(
        self, model: ServedBundle, body: ChatRequest, head: Mapping[str, Any], content: str, sizes: dict[str, int], logs: Any
    ) -> None:
        self._model, self._body, self._head = model, body, head
        self._content, self._sizes, self._logs = content, sizes, logs

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return one object with all choices."""
        ((reply,),) = read
        refusal = refusal_of(reply)
        message = {"role": "assistant", "content": None if refusal else self._content, "refusal": refusal}
        choices = [
            {"index": place, "message": message, "logprobs": self._logs, "finish_reason": "stop"} for place in range(self._body.n or 1)
        ]
        extra = {**smidgen_field(self._model, reply), **facts}
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": self._sizes, "smidgen": extra}

    async def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield role, content, end with the field `smidgen`, usage if asked for, `[DONE]`."""
        _, reply = await anext(replies)
        wants_usage = _wants_usage(self._body)
        common = {**self._head, "object": "chat.completion.chunk", **({"usage": None} if wants_usage else {})}

        def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
            places = range(self._body.n or 1)
            choices = [{"index": place, "delta": delta, "logprobs": None, "finish_reason": finish} for place in places]
            return event({**common, "choices": choices, **more})

        yield chunk({"role": "assistant", "content": ""})
        refusal = refusal_of(reply)
        yield chunk({"refusal": refusal} if refusal else {"content": self._content})
        yield chunk({}, "stop", smidgen={**smidgen_field(self._model, reply), **facts})
        if wants_usage:
            yield event({**common, "choices": [], "usage": self._sizes})
        yield DONE

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return the content."""
        return "" if refusal_of(read[0][0]) else self._content


class CalledChat:
    """A chat completion of a bundle that calls tools: a call, or words, repeated for each choice.

    Args:
        beside: the answer as JSON, for a request without tools of its own; its message has it beside the call.
    """

    def __init__(
        self, model: ServedBundle, body: ChatRequest, head: Mapping[str, Any], answer: ToolAnswer, sizes: dict[str, int], beside: str | None
    ) -> None:
        self._model, self._body, self._head, self._answer, self._sizes = model, body, head, answer, sizes
        self._content = beside if beside is not None else None if answer.call is not None else answer.content
        self._finish = "stop" if answer.call is None else "tool_calls"
        self._names = [f"call_{fresh_id()}" for _ in range(body.n or 1)]

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return one object with all choices."""
        ((reply,),) = read
        choices = [
            {"index": place, "message": self._message(name), "logprobs": None, "finish_reason": self._finish}
            for place, name in enumerate(self._names)
        ]
        extra = {**smidgen_field(self._model, reply), **facts}
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": self._sizes, "smidgen": extra}

    async def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield role, content if there is any, the call's name and then its arguments, end with the field `smidgen`, usage if asked for,
        `[DONE]`."""
        _, reply = await anext(replies)
        wants_usage = _wants_usage(self._body)
        common = {**self._head, "object": "chat.completion.chunk", **({"usage": None} if wants_usage else {})}

        def chunk(deltas: Sequence[dict[str, Any]], finish: str | None = None, **more: Any) -> bytes:
            choices = [{"index": place, "delta": delta, "logprobs": None, "finish_reason": finish} for place, delta in enumerate(deltas)]
            return event({**common, "choices": choices, **more})

        every = len(self._names)
        yield chunk([{"role": "assistant", "content": None if self._content is None else ""}] * every)
        if self._content:
            yield chunk([{"content": self._content}] * every)
        if (call := self._answer.call) is not None:
            yield chunk([{"tool_calls": [{"index": 0, **call_json(call, name, arguments="")}]} for name in self._names])
            yield chunk([{"tool_calls": [{"index": 0, "function": {"arguments": call_arguments(call)}}]}] * every)
        yield chunk([{}] * every, self._finish, smidgen={**smidgen_field(self._model, reply), **facts})
        if wants_usage:
            yield event({**common, "choices": [], "usage": self._sizes})
        yield DONE

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return the content."""
        return self._content or ""

    def _message(self, name: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self._content, "refusal": None}
        if self._answer.call is not None:
            message["tool_calls"] = [call_json(self._answer.call, name)]
        return message


def _tool_result(service: Service, model: ServedBundle, body: ChatRequest, head: Mapping[str, Any], request: HttpRequest) -> LocalAnswer:
    """Return the result of a tool, the last message of the request, as it is."""
    content = _texts(body.messages[-1:])[0]["content"]
    service.check(model, [content], "messages")
    answer = tool_result(content)
    called = CalledChat(model, body, head, answer, usage([content], [content]), beside=None)
    return LocalAnswer(service, model, request, called, streamed=bool(body.stream), read=[[tool_reply(answer)]])


def _user_text(messages: list[ChatMessage]) -> list[str]:
    """Return the text pieces of the user's last message. Raises RequestError if there is none, or it has other parts."""
    last = next((message for message in reversed(messages) if message.role == "user"), None)
    if last is None:
        raise RequestError("server.there_is_no_message_of_user", messages=len(messages), param="messages")
    if last.content is None or isinstance(last.content, str):
        return [last.content or ""]
    for part in last.content:
        if part.type not in ("text", "input_text") or part.text is None:
            raise RequestError("server.piece_of_message_is_not_text", value=part.type, code="unsupported_content", param="messages")
    return [part.text for part in last.content if part.text]


def _texts(messages: list[ChatMessage]) -> list[dict[str, str]]:
    """Return the messages with their text pieces joined."""
    found = []
    for message in messages:
        content = message.content
        whole = content if isinstance(content, str) else "\n".join(part.text for part in content or () if part.text)
        found.append({"role": message.role, "content": whole})
    return found


def _logs(body: ChatRequest, model: ServedBundle, reply: Reply, content: str) -> dict[str, Any] | None:
    """Return the score where OpenAI's clients look for it: as the log probability of the whole answer, as one token."""
    if not body.logprobs:
        return None
    others = [(model.task.content(Reply(output, score)), score) for output, score in reply.alternatives]
    tops = [(content, reply.score), *others][: body.top_logprobs or 0]
    return {
        "content": [{**token_logprob(content, reply.score), "top_logprobs": [token_logprob(text, score) for text, score in tops]}],
        "refusal": None,
    }


answering = TextFace(ChatRequest, ask)
part = face
