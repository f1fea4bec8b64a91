"""The Studio's page and its files, under a content security policy that lets nothing in from anywhere else."""

from __future__ import annotations

import mimetypes
import secrets
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from smidgen.core.errors import MachineError
from smidgen.server.errors import failure

PAGE = Path(str(files("smidgen").joinpath("studio", "dist")))
_NONCE = "%NONCE%"
_HASHED = "assets/"
"""Files whose names hold a hash of their content: a browser may keep them for good."""
_TYPES = {".woff2": "font/woff2", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json"}


def assets_folder() -> Path:
    """The folder of the built page. Raises MachineError where it was not built."""
    if not (PAGE / "index.html").is_file():
        raise MachineError("studio.studio_page_was_not_built", value=str(PAGE))
    return PAGE


def policy(nonce: str) -> str:
    """The content security policy of the page: its own files, and styles with this nonce."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def pages(folder: Path) -> APIRouter:
    """The routes of the page: its files, and the page itself for every other path, since the browser does the routing."""
    router = APIRouter()
    page = (folder / "index.html").read_text(encoding="utf-8")
    known = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}

    @router.get("/{path:path}", include_in_schema=False)
    async def file_or_page(request: Request, path: str) -> Response:
        file = known.get(path)
        if file is not None and path != "index.html" and file.is_file():  # it is gone while the page is built anew
            kept = "public, max-age=31536000, immutable" if path.startswith(_HASHED) else "no-cache"
            kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            return FileResponse(file, media_type=kind, headers={"Cache-Control": kept})
        if path.startswith(("api/", _HASHED)) or (file is not None and path != "index.html"):
            return failure(404, f"There is no {path}. GET /api/v1/openapi.json lists the routes.", "not_found")
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(page.replace(_NONCE, nonce), headers={"Content-Security-Policy": policy(nonce), "Cache-Control": "no-store"})

    return router
