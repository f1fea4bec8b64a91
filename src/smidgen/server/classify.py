"""`/v1/classify`: answer many texts, or pairs of texts, at once; smidgen's own plain face."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from smidgen.core.rows import Text
from smidgen.server.reply_json import TOP_K, Alternative, Usage, answer, reply_fields, usage
from smidgen.server.request import face_request, face_router
from smidgen.server.service import Service


class ClassifyRequest(BaseModel):
    """Texts to answer."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"input": ["Where is my parcel?", "I want my money back"]}})

    input: str | Annotated[list[str | tuple[str, str]], Field(min_length=1)] = Field(
        description="A text, a list of texts, or a list of pairs of texts ([[question, passage], ...])."
    )
    model: str | None = Field(None, description="The name of a bundle; may be left out where one bundle is served.")
    top_k: int = Field(TOP_K, ge=1, le=100, description="How many answers to show for each text, the best included.")


class Verdict(BaseModel):
    """The answer to one text."""

    index: int = Field(description="Place of the text in `input`.")
    output: Any = Field(description="The answer as a value: a label, or a list of labels.")
    content: str = Field(description="The answer as a text, as a chat message would have it.")
    score: float = Field(description="How likely the answer is right, calibrated, 0..1.")
    alternatives: list[Alternative]
    facts: dict[str, Any]


class Verdicts(BaseModel):
    """The answers, in the order of the texts."""

    object: Literal["list"]
    model: str
    bundle: str
    task: str
    results: list[Verdict]
    usage: Usage


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("smidgen")

    @router.post("/v1/classify", response_model=Verdicts, summary="Answer many texts at once")
    async def classify(body: ClassifyRequest, request: Request) -> Response:
        received = face_request(request)
        model = service.find(body.model, received)
        texts: list[Text] = [body.input] if isinstance(body.input, str) else [*body.input]
        replies = await service.ask(model, texts, received, "input")
        contents = [model.task.content(reply) for reply in replies]
        results = [
            {"index": place, "content": content, **reply_fields(reply, body.top_k)}
            for place, (reply, content) in enumerate(zip(replies, contents, strict=True))
        ]
        head = {"object": "list", "model": model.name, "bundle": model.id, "task": model.task.name}
        return answer({**head, "results": results, "usage": usage(texts, contents)})

    return router


part = face
