"""`/v1/responses`: OpenAI's Responses API, for one text of a user. The answer is one message; it is stored nowhere.

What asks for more than that (several turns, tools, an earlier response, work in the background) is refused here. At a gateway it
escalates.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.gateway.response_request import odd, pieces_of
from smidgen.server import filling
from smidgen.server.answers import Extra, counted, extra, usage
from smidgen.server.bodies import ResponsesRequest
from smidgen.server.errors import RESPONSES, answer
from smidgen.server.events import HEADERS, respond
from smidgen.server.response_shape import ResponseShape
from smidgen.server.scribe import Sheet, Source, as_they_come
from smidgen.server.served import Served, input_of
from smidgen.server.service import Service
from smidgen.server.structured import shaped, wanted_of


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


def face(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["OpenAI"], responses=RESPONSES)

    @router.post("/v1/responses", response_model=ResponseObject, summary="Answer one text of a user")
    async def respond_to(body: ResponsesRequest, request: Request) -> Response:
        model = service.find(body.model)
        raw = await request.json()
        if (strange := odd(raw)) is not None:
            raise RequestError(
                "a bundle answers one text of a user here, and this asks for something else",
                value=strange,
                todo="Send input as one text, or as one message of input_text, with store left out or false.",
                code="unsupported_request",
            )
        text = input_of(model, pieces_of(raw))
        try:
            if model.at_once:
                return await _written(service, model, body, text, request)
            return await _answered(service, model, body, text, request)
        except RequestError as error:
            if error.param == "response_format":
                error.param = "text.format"  # what it is called here
            raise

    return router


async def _answered(service: Service, model: Served, body: ResponsesRequest, text: Text, request: Request) -> Response:
    """Of a bundle that does not write."""
    wanted = None
    if "schema" in model.form:
        filling.check(body.response_format, model.form["schema"])
    else:
        wanted = wanted_of(body.response_format)
    (reply,) = await service.ask(model, [text], request, "input")
    refusal = filling.refusal(reply)
    content = refusal or (model.task.content(reply) if wanted is None else shaped(wanted, reply))
    shape = ResponseShape(model, body, refuses=refusal is not None)
    whole = shape.whole(content, usage([text], [content]), extra(model, reply))
    if not body.stream:
        return answer(whole)

    async def events() -> AsyncIterator[bytes]:
        yield shape.begin()
        yield shape.piece(content)
        yield shape.end(content, whole)

    return StreamingResponse(events(), media_type="text/event-stream", headers=HEADERS)


async def _written(service: Service, model: Served, body: ResponsesRequest, text: Text, request: Request) -> Response:
    """Of a bundle that writes: its text goes out while it is written."""
    service.check(model, [text], "input")
    source: Source = partial(model.write, text, **body.drawing().options())
    sheets = service.write(model, [source])
    shape = ResponseShape(model, body)

    def whole(said: str, final: Reply) -> dict[str, Any]:
        service.wrote(model, final)
        return shape.whole(said, counted([final]), extra(model, final), cut=final.piece.finish == "length")

    async def events(sheets: Sequence[Sheet]) -> AsyncIterator[bytes]:
        said = ""
        yield shape.begin()
        async for _, reply in as_they_come(sheets):
            if reply.piece.text:
                said += reply.piece.text
                yield shape.piece(reply.piece.text)
            if reply.final:
                yield shape.end(said, whole(said, reply))

    def at_once(read: list[list[Reply]]) -> Response:
        (replies,) = read
        return answer(whole("".join(reply.piece.text for reply in replies), replies[-1]))

    return await respond(service, request, sheets, events(sheets) if body.stream else None, at_once)


part = face
