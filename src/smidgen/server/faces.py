"""The routers of faces, whose routes take a request's body from the one that was read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from smidgen.server.errors import RESPONSES
from smidgen.server.http_request import HttpRequest, request_of


class _ReadRequest(Request):
    """A request whose body is read once, by the first that needs it: the gateway, or the face."""

    async def body(self) -> bytes:
        return (await request_of(self.scope).read(self.receive)).raw

    async def json(self) -> Any:
        body = await request_of(self.scope).read(self.receive)
        if body.json is None:  # no object, or in another encoding than UTF-8, which a face takes all the same
            found = await super().json()
            body.json = found if isinstance(found, dict) else None
            return found
        return body.json


class _ReadRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_ReadRequest(request.scope, request.receive))

        return handle


def face_router(tag: str) -> APIRouter:
    """An empty router. `tag` is the heading of its routes in the API's document."""
    return APIRouter(tags=[tag], responses=RESPONSES, route_class=_ReadRoute)


def takes_body_of(request: HttpRequest) -> bool:
    """Whether a face reads the body of a request: FastAPI reads bodies whose type is JSON."""
    kind = request.header(b"content-type")
    if kind == b"application/json":
        return True
    said = Message()
    said["content-type"] = kind.decode("latin-1")
    subtype = said.get_content_subtype()
    return bool(kind) and said.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


def asked_of(request: Request) -> HttpRequest:
    """The request that a route was called with."""
    found = request_of(request.scope)
    if found.receive is None:
        found.receive = request.receive
    return found
