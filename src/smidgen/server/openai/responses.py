"""`/v1/responses`: OpenAI's Responses API, for one text of a user.

The answer is one message of the assistant, as an object or as the events of a stream. It is not stored. A request for more (several turns,
tools, an earlier response, background work) is refused here. At a gateway it escalates.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.gateway.eligibility import LOCAL_RESPONSE_ID, odd_response_request, response_pieces
from smidgen.server.errors import as_json
from smidgen.server.http_request import HttpRequest, asked_of, face_router, fresh_id
from smidgen.server.openai import structured_output
from smidgen.server.openai.local_answer import Facts, LocalAnswer, NumberedReplies, TextFace
from smidgen.server.openai.request_bodies import ResponsesRequest
from smidgen.server.openai.structured_output import wanted_field
from smidgen.server.reply_json import Extra, counted_usage, smidgen_field, usage
from smidgen.server.served_bundle import ServedBundle, input_of
from smidgen.server.service import Service


class ResponseBuilder:
    """Builds the answer to one request. It is not stored, so `store` is always false.

    Args:
        model: the bundle.
        body: the request.
        refuses: whether the answer is a refusal, which must be known before a stream begins.
    """

    def __init__(self, model: ServedBundle, body: ResponsesRequest, refuses: bool = False) -> None:
        name = fresh_id()
        self._message = f"msg_{name}"
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
            "tool_choice": "auto",
            "tools": [],
            "top_p": body.top_p,
            "truncation": "disabled",
        }

    def whole(self, text: str, usage: Mapping[str, Any], extra: Mapping[str, Any], cut: bool = False) -> dict[str, Any]:
        """Return the final response. `usage` is that of a chat completion. `cut`: the text reached its length limit."""
        status = "incomplete" if cut else "completed"
        return {
            **self._head,
            "status": status,
            "completed_at": None if cut else int(time.time()),
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": [self._item(status, [self._part(text)])],
            "usage": _response_usage(usage),
            "smidgen": dict(extra),
        }

    def begin(self) -> bytes:
        """Return the events before the first piece."""
        started = {**self._head, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
        return b"".join(
            [
                self._event("response.created", response=started),
                self._event("response.in_progress", response=started),
                self._event("response.output_item.added", output_index=0, item=self._item("in_progress", [])),
                self._event("response.content_part.added", **self._place, part=self._part("")),
            ]
        )

    def piece(self, text: str) -> bytes:
        """Return the event with a piece of the text."""
        return self._event(f"response.{self._kind}.delta", **self._place, delta=text, **self._logs)

    def end(self, text: str, whole: Mapping[str, Any]) -> bytes:
        """Return the events after the last piece. `text` is the whole text, and `whole` the final response."""
        (item,) = whole["output"]
        field = "refusal" if self._kind == "refusal" else "text"
        return b"".join(
            [
                self._event(f"response.{self._kind}.done", **self._place, **{field: text}, **self._logs),
                self._event("response.content_part.done", **self._place, part=self._part(text)),
                self._event("response.output_item.done", output_index=0, item=item),
                self._event(f"response.{whole['status']}", response=whole),
            ]
        )

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
    output: list[dict[str, Any]] = Field(description="One message of the assistant.")
    parallel_tool_calls: bool
    previous_response_id: None
    store: Literal[False]
    temperature: float | None
    text: dict[str, Any]
    tool_choice: str
    tools: list[dict[str, Any]]
    top_p: float | None
    truncation: str
    usage: ResponsesUsage
    smidgen: Extra


async def ask(service: Service, model: ServedBundle, body: ResponsesRequest, request: HttpRequest) -> LocalAnswer:
    """Return a bundle's answer to a request for a response."""
    raw = request.json or {}
    if (strange := odd_response_request(raw)) is not None:
        raise RequestError(
            "a bundle answers one text of a user here, and this asks for something else",
            value=strange,
            todo="Send input as one text, or as one message of input_text, with store left out or false.",
            code="unsupported_request",
        )
    text = input_of(model, response_pieces(raw))
    return _write(service, model, body, text, request) if model.at_once else await _answer(service, model, body, text, request)


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("OpenAI")

    @router.post("/v1/responses", response_model=ResponseObject, summary="Answer one text of a user")
    async def respond_to(body: ResponsesRequest, request: Request) -> Response:
        asked = asked_of(request)
        try:
            return await (await ask(service, service.find(body.model, asked), body, asked)).response()
        except RequestError as error:
            if error.param == "response_format":
                error.param = "text.format"  # its name in this API
            raise

    return router


async def _answer(service: Service, model: ServedBundle, body: ResponsesRequest, text: Text, request: HttpRequest) -> LocalAnswer:
    """Return the answer of a bundle that does not write."""
    wanted, whole = None, structured_output.asks_object(body.response_format, model.form)
    if model.form.answer_schema is not None:
        structured_output.check_schema(body.response_format, model.form.answer_schema)
    elif not whole:
        wanted = wanted_field(body.response_format)
    (reply,) = await service.ask(model, [text], request, "input")
    refusal = structured_output.field_refusal(reply)
    content = refusal or structured_output.content_of(model.task, model.form, reply, text, wanted, whole)
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
