"""A plain page with the chat on it, on the desk's own address, so that its owner sees it before a site has it."""

from __future__ import annotations

import html

from fastapi import APIRouter, Query
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.desk.routes.served_desk import desks_of
from smidgen.desk.routes.widget_settings import WidgetSettings
from smidgen.server.request import face_router
from smidgen.server.service import Service

_PAGE = """<!doctype html>
<html lang="%LANGUAGE%">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>%TITLE%</title>
<style>
:root { color-scheme: light dark; }
body { max-width: 46rem; margin: 0 auto; padding: 3rem 1.5rem; font: 1rem/1.6 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; }
p { max-width: 38rem; }
div { height: 0.9rem; margin: 0.9rem 0; border-radius: 4px; background: rgb(128 128 128 / 14%); }
div:nth-of-type(3n) { width: 62%; }
</style>
</head>
<body>
<h1>%TITLE%</h1>
<p>%WORDS%</p>
<div></div><div></div><div></div><div></div><div></div><div></div>
<script src="/desk/widget.js" data-desk="%DESK%" data-colour="%COLOUR%" data-lang="%LANGUAGE%" async></script>
</body>
</html>
"""
_WORDS = {
    "en": "This page stands for yours. The chat is the round button in the corner: what you write there is a real conversation.",
    "de": "Diese Seite steht für Ihre. Der Chat ist der runde Knopf in der Ecke: Was Sie dort schreiben, ist ein echtes Gespräch.",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; frame-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def face(service: Service) -> APIRouter:
    """Return the route; none if the server shows no desk. It needs a key, because it is for the operator alone."""
    router, desks = face_router("desk"), desks_of(service)
    if desks:

        @router.get("/desk/{desk}/preview", include_in_schema=False)
        async def preview(desk: str, lang: str = Query("", max_length=8)) -> Response:
            if desk not in desks:
                raise RequestError("desk.there_is_no_such_desk", value=desk[:100], status=404, code="desk_not_found")
            return _page(desk, desks[desk].settings, lang)

    return router


def _page(desk: str, settings: WidgetSettings, language: str) -> Response:
    chosen = language if language in _WORDS else "en"
    filled = {"LANGUAGE": chosen, "TITLE": settings.name, "WORDS": _WORDS[chosen], "DESK": desk, "COLOUR": settings.colour}
    page = _PAGE
    for key, value in filled.items():
        page = page.replace(f"%{key}%", html.escape(value, quote=True))
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    return Response(page, headers=headers, media_type="text/html; charset=utf-8")


part = face
