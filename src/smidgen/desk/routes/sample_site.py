"""The sample shop's site, Fern & Hearth: a few plain pages with the chat on them."""

from __future__ import annotations

import html
from importlib.resources import files
from pathlib import PurePosixPath

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

_FOLDER = files("smidgen") / "samples" / "homeware" / "site"
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_SVG = "image/svg+xml"


def sample_site(widget: str, desk: str) -> Starlette:
    """The site as an application of its own, to be served on its own port or mounted under a path that ends with a slash.

    Args:
        widget: the address of the widget's script, such as `http://127.0.0.1:8080/desk/widget.js`.
        desk: the desk's name.
    """
    content = {
        name: file.read_text(encoding="utf-8")
        for folder, prefix in ((_FOLDER, ""), (_FOLDER / "drawings", "drawings/"))
        for file in folder.iterdir()
        if file.is_file() and (name := f"{prefix}{file.name}")
    }

    async def page(request: Request) -> Response:
        name = request.path_params["name"]
        if not name:
            return RedirectResponse("index.html")
        text = content.get(name)
        if text is None:
            return PlainTextResponse("There is no such page.", 404)
        kind = _TYPES.get(PurePosixPath(name).suffix, _SVG)
        if name.endswith(".html"):
            text = text.replace("%WIDGET%", html.escape(widget)).replace("%DESK%", html.escape(desk))
        return Response(text, headers={"Cache-Control": "no-cache"}, media_type=kind)

    return Starlette(routes=[Route("/{name:path}", page)])
