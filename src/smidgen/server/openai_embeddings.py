"""`/v1/embeddings`: refused. A bundle answers one job and hands out no vectors; a client that asks is told so, not given something else."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.server.errors import RESPONSES
from smidgen.server.service import Service


class EmbeddingRequest(BaseModel):
    """An embedding request."""

    input: Any = Field(description="A text or several.")
    model: str | None = None


def face(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["OpenAI"], responses=RESPONSES)

    @router.post("/v1/embeddings", summary="Refused: bundles give answers, not vectors")
    async def embed(body: EmbeddingRequest) -> Response:
        model = service.find(body.model)
        raise RequestError(
            "this model gives no embeddings",
            value=f"{model.name} ({model.task.name})",
            todo="Use /v1/classify or /v1/chat/completions, or an embedding model elsewhere.",
            code="embeddings_not_supported",
            param="model",
        )

    return router


part = face
