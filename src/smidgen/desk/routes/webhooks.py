"""Webhooks of vendors: verified over the raw body, stored, answered with 200 at once; the work comes after."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from smidgen.core.errors import RequestError
from smidgen.desk.channels.channel import MOST_BODY, WebhookRequest
from smidgen.desk.routes.served_desk import ServedDesk, desks_of
from smidgen.server.request import face_router
from smidgen.server.service import Service

_MOST_AT_ONCE = 32
"""Webhooks that are stored at a time. Vendors send again what is refused."""


def face(service: Service) -> APIRouter:
    """Return the routes; none if no desk of the server has channels."""
    router = face_router("desk", keyless=True)  # vendors sign what they send
    served = {name: one for name, one in desks_of(service).items() if one.channels is not None}
    if served:
        _add(router, served)
    return router


def _add(router: APIRouter, served: dict[str, ServedDesk]) -> None:
    at_once = asyncio.Semaphore(_MOST_AT_ONCE)

    @router.api_route("/desk/{desk}/channels/{name}", methods=["GET", "POST"], include_in_schema=False)
    async def receive(request: Request, desk: str, name: str) -> Response:
        found = served.get(desk)
        channels = found.channels if found is not None else None
        if channels is None:
            raise RequestError("desk.there_is_no_desk_at_this_address", value=desk, status=404, code="not_found")
        headers = {key.lower(): value for key, value in request.headers.items()}
        asked = WebhookRequest(request.method, headers, dict(request.query_params), await _body(request))
        if at_once.locked():
            raise RequestError("desk.too_many_webhooks_at_once", value=name, status=503, code="overloaded")
        async with at_once:
            brought, _ = await asyncio.to_thread(channels.receive, name, asked)
        return PlainTextResponse(brought.body, brought.status, media_type=brought.content_type)


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            raise RequestError("desk.webhook_body_is_too_long", value=len(body), most_body=MOST_BODY, status=413, code="body_too_large")
    return body


part = face
