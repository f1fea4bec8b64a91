"""The files of the chat: the widget's script, the frame's page under a strict content security policy, and its scripts and styles.

Nothing is built: the files in `assets/` are served as they are. Their address holds a hash of them all, so a browser may keep them.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from smidgen.core.conversations import Answering
from smidgen.desk.routes.widget_settings import WidgetSettings

WIDGET, PAGE = "widget.js", "frame.html"
LANGUAGES = ("en", "de")
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_GOOD_FOR_EVER = "public, max-age=31536000, immutable"
_GOOD_FOR_MINUTES = "public, max-age=300"
_LONGEST_GREETING = 1_000
_PLACE = re.compile("%([A-Z]+)%")


@dataclass(frozen=True, slots=True)
class ChatFile:
    """A file of the chat: its content, plain and compressed."""

    plain: bytes
    compressed: bytes
    kind: str
    tag: str


@functools.cache
def assets() -> Mapping[str, ChatFile]:
    """The scripts and styles, by name."""
    folder = files("smidgen.desk.routes").joinpath("assets")
    found = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        kind = _TYPES.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None:
            plain = file.read_bytes()
            found[file.name] = ChatFile(plain, gzip.compress(plain, 9, mtime=0), kind, f'"{hashlib.sha256(plain).hexdigest()[:32]}"')
    return found


@functools.cache
def version() -> str:
    """A hash of all files."""
    return hashlib.sha256("".join(asset.tag for asset in assets().values()).encode("ascii")).hexdigest()[:16]


def script(request: Request) -> Response:
    """The widget's script. Pages of every origin may load it."""
    return _sent(request, assets()[WIDGET], {"Cache-Control": _GOOD_FOR_MINUTES, "Cross-Origin-Resource-Policy": "cross-origin"})


def asset(request: Request, name: str) -> Response | None:
    """A script or style of the frame; None if there is none of this name."""
    found = assets().get(name)
    return None if found is None else _sent(request, found, {"Cache-Control": _GOOD_FOR_EVER})


def _sent(request: Request, found: ChatFile, headers: Mapping[str, str]) -> Response:
    sent = {**headers, "ETag": found.tag, "Vary": "Accept-Encoding"}
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=sent)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, headers={**sent, "Content-Encoding": "gzip"}, media_type=found.kind)
    return Response(found.plain, headers=sent, media_type=found.kind)


def policy(settings: WidgetSettings) -> str:
    """The content security policy of the frame: its own files, calls to this server, the shop's images, the allowed sites around it."""
    images = " ".join(("'self'", "data:", *settings.image_hosts))
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src {images}; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {settings.ancestors}"
    )


def page(desk: Answering, settings: WidgetSettings, language: str) -> Response:
    """The frame of a desk."""
    told = {
        "title": settings.name,
        "colour": settings.colour,
        "greeting": {name: words[:_LONGEST_GREETING] for name, words in desk.greeting.items()},
        "starters": settings.starters,
        "site": settings.site,
        "longest": settings.longest,
    }
    filled = {
        "LANGUAGE": language if language in LANGUAGES else LANGUAGES[0],
        "DESK": desk.name,
        "SETTINGS": json.dumps(told, ensure_ascii=False),
        "TITLE": settings.name,
        "INITIAL": settings.name[:1].upper(),
        "ASSETS": f"/desk/assets/{version()}",
    }
    written = _PLACE.sub(lambda found: html.escape(filled[found[1]], quote=True), _template())
    headers = {
        "Content-Security-Policy": policy(settings),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    }
    return Response(written, headers=headers, media_type="text/html; charset=utf-8")


@functools.cache
def _template() -> str:
    return files("smidgen.desk.routes").joinpath("assets", PAGE).read_text(encoding="utf-8")
