"""`/docs`: the routes, their fields and a form to try them. One page that loads nothing from elsewhere, so it works offline."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from smidgen.server.service import Service

_PAGE = "docs.html"


def face(service: Service) -> APIRouter:
    """The route. It is not in the OpenAPI document that it shows."""
    router = APIRouter()
    page = files("smidgen.server.ops").joinpath(_PAGE).read_bytes()

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy(_PAGE)})

    return router


@functools.cache
def policy(page: str) -> str:
    """The content security policy of a page of this package: its own style and script, by their hashes, and calls of this server. Nothing
    that data brings into the page can run or load anything."""
    text = files("smidgen.server.ops").joinpath(page).read_text(encoding="utf-8")
    style, script = (_hashed(text, name) for name in ("style", "script"))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _hashed(text: str, name: str) -> str:
    (inner,) = re.findall(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inner.encode('utf-8')).digest()).decode('ascii')}'"


part = face
