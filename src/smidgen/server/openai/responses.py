"""`/v1/responses`: OpenAI's Responses API, for one text of a user; a desk, and a model that calls tools, take whole conversations.

The answer is a message of the assistant, or a call of a function, as an object or as the events of a stream. It is not stored. A request
for more (an earlier response, background work) is refused here. At a gateway it escalates.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.core.parts import dialogue_text
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.core.tool_calls import FoundCall, ToolAnswer
from smidgen.gateway.eligibility import (
    CONVERSATION,
    LOCAL_RESPONSE_ID,
    eligibility_of,
    odd_response_fields,
    odd_response_request,
    response_messages,
    response_pieces,
)
from smidgen.server.models import ServedBundle, input_of
from smidgen.server.openai.answers import (
    Facts,
    LocalAnswer,
    NumberedReplies,
    TextFace,
    answer_with_tools,
    call_arguments,
    counted_text,
    refusal_of,
    requested_format,
    requested_tools,
    tool_reply,
    tool_result,
)
from smidgen.server.openai.request_bodies import ResponsesRequest
from smidgen.server.reply_json import Extra, as_json, counted_usage, smidgen_field, usage
from smidgen.server.request import HttpRequest, face_request, face_router, fresh_id
from smidgen.server.service import Service

_TOOLS = frozenset({"tools", "tool_choice", "max_tool_calls"})
"""Fields that models that call tools read."""


class ResponseBuilder:
    """Builds the answer to one request. It is not stored, so `store` is always false.

    Args:
        model: the bundle.
        body: the request.
        refuses: whether the answer is a refusal, which must be known before a stream begins.
    """

    def __init__(self, model: ServedBundle, body: ResponsesRequest, refuses: bool = False) -> None:
        name = fresh_id()
        self._message, self._call, self._call_name = f"msg_{name}", f"fc_{name}", f"call_{name}"
        self._kind = "refusal" if refuses else "output_text"
        self._number = -1
        self._head: dict[str, Any] = {
            "id": f"{LOCAL_RESPONSE_ID}{name}",
            "object": "response",
            "created_at": int(time.time()),
            "background": False,
            "error": None,
            "instructions": None,  # not read, because a bundle has its own
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": model.name,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "store": False,
            "temperature": body.temperature,
            "text": {"format": body.wanted or {"type": "text"}},
            "tool_choice": body.tool_choice or "auto",
            "tools": body.tools or [],
            "top_p": body.top_p,
            "truncation": "disabled",
        }

    def whole(
        self,
        text: str | None,
        usage: Mapping[str, Any],
        extra: Mapping[str, Any],
        cut: bool = False,
        call: FoundCall | None = None,
    ) -> dict[str, Any]:
        """Return the final response: with the message, if there is a text, and the call, if there is one.

        `usage` is that of a chat completion. `cut`: the text reached its length limit.
        """
        status = "incomplete" if cut else "completed"
        return {
            **self._head,
            "status": status,
            "completed_at": None if cut else int(time.time()),
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": [
                *([self._item(status, [self._part(text)])] if text is not None else []),
                *([self._called(status, call, call_arguments(call))] if call is not None else []),
            ],
            "usage": _response_usage(usage),
            "smidgen": dict(extra),
        }

    def begin(self) -> bytes:
        """Return the events before the first piece."""
        return self.created() + self.message_begins()

    def created(self) -> bytes:
        """Return the events before the first item."""
        started = {**self._head, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
        return self._event("response.created", response=started) + self._event("response.in_progress", response=started)

    def message_begins(self) -> bytes:
        """Return the events before the first piece of the message."""
        added = self._event("response.output_item.added", output_index=0, item=self._item("in_progress", []))
        return added + self._event("response.content_part.added", **self._place, part=self._part(""))

    def piece(self, text: str) -> bytes:
        """Return the event with a piece of the text."""
        return self._event(f"response.{self._kind}.delta", **self._place, delta=text, **self._logs)

    def end(self, text: str, whole: Mapping[str, Any]) -> bytes:
        """Return the events after the last piece. `text` is the whole text, and `whole` the final response."""
        return self.message_ends(text, whole["output"][0]) + self.completed(whole)

    def message_ends(self, text: str, item: Mapping[str, Any]) -> bytes:
        """Return the events after the last piece of the message, which is `item` in the final response."""
        field = "refusal" if self._kind == "refusal" else "text"
        return b"".join(
            [
                self._event(f"response.{self._kind}.done", **self._place, **{field: text}, **self._logs),
                self._event("response.content_part.done", **self._place, part=self._part(text)),
                self._event("response.output_item.done", output_index=0, item=item),
            ]
        )

    def call(self, call: FoundCall, item: Mapping[str, Any], place: int) -> bytes:
        """Return the events of a call, which is `item` in the final response, at this place."""
        of, said = {"item_id": self._call, "output_index": place}, item["arguments"]
        return b"".join(
            [
                self._event("response.output_item.added", output_index=place, item=self._called("in_progress", call, "")),
                self._event("response.function_call_arguments.delta", **of, delta=said),
                self._event("response.function_call_arguments.done", **of, name=call.name, arguments=said),
                self._event("response.output_item.done", output_index=place, item=item),
            ]
        )

    def completed(self, whole: Mapping[str, Any]) -> bytes:
        """Return the last event."""
        return self._event(f"response.{whole['status']}", response=whole)

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._message, "output_index": 0, "content_index": 0}

    @property
    def _logs(self) -> dict[str, Any]:
        return {} if self._kind == "refusal" else {"logprobs": []}

    def _part(self, text: str) -> dict[str, Any]:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _item(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self._message, "type": "message", "role": "assistant", "status": status, "content": content}

    def _called(self, status: str, call: FoundCall, arguments: str) -> dict[str, Any]:
        named = {"type": "function_call", "call_id": self._call_name, "name": call.name, "arguments": arguments}
        return {"id": self._call, "status": status, **named}

    def _event(self, kind: str, **said: Any) -> bytes:
        """Return one event, numbered."""
        self._number += 1
        body = as_json({"type": kind, "sequence_number": self._number, **said})
        return f"event: {kind}\n".encode("ascii") + b"data: " + body + b"\n\n"


def _response_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a chat completion's usage under the names of this API."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }


class ResponsesUsage(BaseModel):
    """Sizes, as OpenAI reports them here; see `Usage`."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseObject(BaseModel):
    """A response, with the field `smidgen` beside OpenAI's."""

    id: str = Field(description="Begins with resp_smidgen_. Nothing is kept under it.")
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["completed", "incomplete"]
    error: None
    incomplete_details: dict[str, str] | None
    background: Literal[False]
    instructions: None = Field(description="They are not read: a bundle has its own.")
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[dict[str, Any]] = Field(description="A message of the assistant, or a call of a function.")
    parallel_tool_calls: bool
    previous_response_id: None
    store: Literal[False]
    temperature: float | None
    text: dict[str, Any]
    tool_choice: Any
    tools: list[dict[str, Any]]
    top_p: float | None
    truncation: str
    usage: ResponsesUsage
    smidgen: Extra


async def ask(service: Service, model: ServedBundle, body: ResponsesRequest, request: HttpRequest) -> LocalAnswer:
    """Return a bundle's answer to a request for a response."""
    raw = request.json or {}
    if model.task.calls is not None or eligibility_of(model.task) is CONVERSATION:
        return await _converse(service, model, body, request)
    if (strange := odd_response_request(raw)) is not None:
        raise RequestError("server.request_asks_for_something_else", value=strange, code="unsupported_request")
    text = input_of(model, response_pieces(raw))
    return _write(service, model, body, text, request) if model.at_once else await _answer(service, model, body, text, request)


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("OpenAI")

    @router.post("/v1/responses", response_model=ResponseObject, summary="Answer one text of a user")
    async def respond_to(body: ResponsesRequest, request: Request) -> Response:
        received = face_request(request)
        try:
            return await (await ask(service, service.find(body.model, received), body, received)).response()
        except RequestError as error:
            if error.param == "response_format":
                error.param = "text.format"  # its name in this API
            raise

    return router


async def _converse(service: Service, model: ServedBundle, body: ResponsesRequest, request: HttpRequest) -> LocalAnswer:
    """Return the answer of a bundle that takes a whole conversation: a call of a tool, or words."""
    raw = request.json or {}
    messages = _messages_of(raw, _TOOLS if model.task.calls is not None else frozenset())
    tools = [{"type": "function", "function": tool} if _is_flat(tool) else tool for tool in body.tools or ()]
    requested = requested_tools(model, {"tools": tools, "tool_choice": body.tool_choice, "response_format": body.response_format})
    last = messages[-1]
    if requested is not None and last["role"] == "tool":
        service.check(model, [last["content"]], "input")
        return _called(service, model, body, tool_result(last["content"]), last["content"], request)
    if last["role"] != "user":
        raise RequestError("server.last_item_is_no_message_of_user", value=last["role"], code="unsupported_request")
    text = dialogue_text(model.task, messages) or input_of(model, [last["content"]])
    if requested is None:
        return await _answer(service, model, body, text, request)
    answer = await answer_with_tools(service, model, text, requested, request, "input")
    plain = requested.tools is None and requested.mode != "required" and requested.named is None
    return _called(service, model, body, answer, text, request, model.task.content(Reply(answer.output, 1.0)) if plain else None)


def _is_flat(tool: Mapping[str, Any]) -> bool:
    """Whether a tool is a function as this API has it, which is not that of chat completions."""
    return tool.get("type") == "function" and "function" not in tool


def _messages_of(raw: Mapping[str, Any], fields: Collection[str]) -> list[dict[str, Any]]:
    """Return the conversation of a request. Raises RequestError if it asks for something else; `fields`: those that are read besides."""
    strange = odd_response_fields(raw, fields)
    try:
        messages = response_messages(raw.get("input"))
    except ValueError as error:
        strange = strange or str(error)
    if strange is not None:
        raise RequestError("server.conversation_asks_for_something_else", value=strange, code="unsupported_request")
    return messages


def _called(
    service: Service,
    model: ServedBundle,
    body: ResponsesRequest,
    answer: ToolAnswer,
    text: Text,
    request: HttpRequest,
    beside: str | None = None,
) -> LocalAnswer:
    """Return an answer with a call or words. `beside`: the answer as JSON, for a request without tools of its own."""
    content = beside if beside is not None else None if answer.call is not None else answer.content
    form = CalledResponse(model, body, answer, content, usage([text], [counted_text(answer)]))
    return LocalAnswer(service, model, request, form, streamed=bool(body.stream), read=[[tool_reply(answer)]])


async def _answer(service: Service, model: ServedBundle, body: ResponsesRequest, text: Text, request: HttpRequest) -> LocalAnswer:
    """Return the answer of a bundle that does not write."""
    requested = requested_format(body.response_format, model.form)
    (reply,) = await service.ask(model, [text], request, "input")
    refusal = refusal_of(reply)
    content = refusal or requested.content(model.task, model.form, reply, text)
    form = AnsweredResponse(model, body, content, usage([text], [content]), refuses=refusal is not None)
    return LocalAnswer(service, model, request, form, streamed=bool(body.stream), read=[[reply]])


def _write(service: Service, model: ServedBundle, body: ResponsesRequest, text: Text, request: HttpRequest) -> LocalAnswer:
    """Start the answer of a bundle that writes. Its text is sent while it is written."""
    service.check(model, [text], "input")
    generations = service.write(model, [partial(model.write, text, **body.drawing().options())])
    return LocalAnswer(service, model, request, WrittenResponse(model, body), streamed=bool(body.stream), generations=generations)


class AnsweredResponse:
    """The response of a bundle that does not write."""

    def __init__(self, model: ServedBundle, body: ResponsesRequest, content: str, sizes: Mapping[str, Any], refuses: bool = False) -> None:
        self._model, self._content, self._sizes, self._refuses = model, content, sizes, refuses
        self._shape = ResponseBuilder(model, body, refuses)

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return the response."""
        return self._shape.whole(self._content, self._sizes, {**smidgen_field(self._model, read[0][0]), **facts})

    async def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield the answer as one piece, with the events around it."""
        _, reply = await anext(replies)
        yield self._shape.begin()
        yield self._shape.piece(self._content)
        yield self._shape.end(self._content, self.whole([[reply]], facts))

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return the content."""
        return "" if self._refuses else self._content


class CalledResponse:
    """The response of a bundle that calls tools: a call, words, or both."""

    def __init__(
        self, model: ServedBundle, body: ResponsesRequest, answer: ToolAnswer, content: str | None, sizes: Mapping[str, Any]
    ) -> None:
        self._model, self._answer, self._content, self._sizes = model, answer, content, sizes
        self._shape = ResponseBuilder(model, body)

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return the response."""
        extra = {**smidgen_field(self._model, read[0][0]), **facts}
        return self._shape.whole(self._content, self._sizes, extra, call=self._answer.call)

    async def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield the message, if there is one, and then the call, with the events around them."""
        _, reply = await anext(replies)
        whole = self.whole([[reply]], facts)
        yield self._shape.created()
        if self._content is not None:
            yield self._shape.message_begins()
            if self._content:
                yield self._shape.piece(self._content)
            yield self._shape.message_ends(self._content, whole["output"][0])
        if (call := self._answer.call) is not None:
            yield self._shape.call(call, whole["output"][-1], len(whole["output"]) - 1)
        yield self._shape.completed(whole)

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return the content."""
        return self._content or ""


class WrittenResponse:
    """The response of a bundle that writes."""

    def __init__(self, model: ServedBundle, body: ResponsesRequest) -> None:
        self._model, self._shape = model, ResponseBuilder(model, body)

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return the response."""
        return self._whole(self.text(read), read[0][-1], facts)

    async def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield the pieces of the text as they are written, with the events around them."""
        said = ""
        yield self._shape.begin()
        async for _, reply in replies:
            if reply.piece.text:
                said += reply.piece.text
                yield self._shape.piece(reply.piece.text)
            if reply.final:
                yield self._shape.end(said, self._whole(said, reply, facts))

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return the whole text."""
        return "".join(reply.piece.text for reply in read[0])

    def _whole(self, said: str, final: Reply, facts: Facts) -> dict[str, Any]:
        extra = {**smidgen_field(self._model, final), **facts}
        return self._shape.whole(said, counted_usage([final]), extra, cut=final.piece.finish == "length")


answering = TextFace(ResponsesRequest, ask)
part = face
