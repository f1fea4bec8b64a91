"""`/v1/embeddings`: OpenAI's API for vectors of texts, from the last layer of the trained model."""

from __future__ import annotations

import base64
import struct
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.server.reply_json import answer, usage
from smidgen.server.request import face_request, face_router
from smidgen.server.service import Service


class EmbeddingRequest(BaseModel):
    """An embedding request. Unknown fields are accepted and ignored."""

    model_config = ConfigDict(json_schema_extra={"example": {"input": ["Where is my parcel?", "I want my money back"]}})

    input: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="A text or several. Lists of token numbers are not understood."
    )
    model: str | None = Field(None, description="The name of a bundle; may be left out where one bundle is served.")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="float: a list of numbers. base64: the same as 32-bit floats, little-endian."
    )
    dimensions: int | None = Field(None, ge=1, description="Only the width that the model has; vectors are not cut.")


class Embedding(BaseModel):
    """One text's vector, of length 1."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Sizes, counted as in `Usage`."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("OpenAI")

    @router.post("/v1/embeddings", response_model=Embeddings, summary="Vectors of one or more texts")
    async def embed(body: EmbeddingRequest, request: Request) -> Response:
        asked = face_request(request)
        model = service.find(body.model, asked)
        texts = [body.input] if isinstance(body.input, str) else body.input
        vectors = await service.embed(model, texts, asked, "input")
        width = len(vectors[0])
        if body.dimensions is not None and body.dimensions != width:
            raise RequestError("server.vectors_are_not_cut", value=body.dimensions, width=width, param="dimensions")
        shown: list[Any] = [_packed(vector) for vector in vectors] if body.encoding_format == "base64" else vectors
        data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(shown)]
        sizes = usage([*texts], [])
        counted = {"prompt_tokens": sizes["prompt_tokens"], "total_tokens": sizes["total_tokens"]}
        return answer({"object": "list", "data": data, "model": model.name, "usage": counted})

    return router


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


part = face
