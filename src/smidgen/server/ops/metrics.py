"""`/metrics`: the counters, as Prometheus reads them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from smidgen.server.errors import RESPONSES
from smidgen.server.service import Service


def face(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["operations"], responses=RESPONSES)

    @router.get("/metrics", response_class=PlainTextResponse, summary="Counters, as Prometheus reads them")
    async def metrics() -> Response:
        shown = await asyncio.to_thread(generate_latest, service.metering.registry)  # some of it is read from the disk
        return Response(shown, media_type=CONTENT_TYPE_LATEST)

    return router


part = face
