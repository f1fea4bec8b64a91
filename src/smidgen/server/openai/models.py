"""`/v1/models`: the bundles served here. The list has OpenAI's cards under `data` and System One's under `models`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from smidgen.server.models import ServedBundle
from smidgen.server.reply_json import answer
from smidgen.server.request import face_request, face_router
from smidgen.server.service import Service


class BundleFacts(BaseModel):
    """Facts about a bundle."""

    bundle: str
    task: str
    labels: list[str] | None = None
    multi_label: bool | None = None
    unknown: str | None = None
    json_schema: dict[str, Any] | None = Field(None, alias="schema", description="Of a bundle that fills in fields, what they are.")


class ModelCard(BaseModel):
    """A bundle, as OpenAI shows a model, with the field `smidgen` beside."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    smidgen: BundleFacts


class SystemOneCard(BaseModel):
    """A bundle, as System One shows a model."""

    name: str
    description: str
    release_date: str


class ModelList(BaseModel):
    """All bundles."""

    object: Literal["list"]
    data: list[ModelCard]
    models: list[SystemOneCard]


def listing(service: Service) -> dict[str, Any]:
    """Return the list of all bundles."""
    models, created = service.models.values(), service.started
    return {"object": "list", "data": [_card(model, created) for model in models], "models": [_short(model, created) for model in models]}


def face(service: Service) -> APIRouter:
    """Return the routes."""
    router = face_router("OpenAI")

    @router.get("/v1/models", response_model=ModelList, summary="The bundles served here")
    async def every() -> Response:
        return answer(listing(service))

    @router.get("/v1/models/{name:path}", response_model=ModelCard, summary="One bundle")
    async def one(name: str, request: Request) -> Response:
        return answer(_card(service.find(name, face_request(request)), service.started))

    return router


def _card(model: ServedBundle, created: int) -> dict[str, Any]:
    facts = {"bundle": model.id, "task": model.task.name, **model.form.listed}
    return {"id": model.name, "object": "model", "created": created, "owned_by": "smidgen", "smidgen": facts}


def _short(model: ServedBundle, created: int) -> dict[str, str]:
    day = datetime.fromtimestamp(created, UTC).date().isoformat()
    return {"name": model.name, "description": model.task.summary, "release_date": day}


part = face
