"""`/healthz` and `/readyz`: for what restarts the process, and for what sends it traffic."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from smidgen.server.errors import RESPONSES, answer, failure
from smidgen.server.service import Service


class Health(BaseModel):
    """The state of the process."""

    status: Literal["ok"]


def face(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["operations"], responses=RESPONSES)

    @router.get("/healthz", response_model=Health, summary="Whether the process lives")
    async def healthz() -> Response:
        return answer({"status": "ok"})

    @router.get("/readyz", response_model=Health, summary="Whether every bundle would answer now")
    async def readyz() -> Response:
        if not service.ready:
            return failure(503, "Not every model is ready. Wait, or restart the server.", "not_ready")
        return answer({"status": "ok"})

    return router


part = face
