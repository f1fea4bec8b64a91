"""`/docs`: the routes, what they take and a form to try them. One page that loads nothing from anywhere else, so it works offline."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

from smidgen.server.service import Service

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"


def face(service: Service) -> APIRouter:
    """The route. It is not in the OpenAPI document that it shows."""
    router = APIRouter()
    page = files("smidgen.server").joinpath("docs.html").read_bytes()

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    @router.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("/docs")

    return router


part = face
