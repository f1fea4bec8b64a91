"""The pages for browsers: `/` lists the bundles with their certificates and a form to try them, `/docs` the routes with a form for each.

They load nothing from elsewhere, so they work offline. If the server requires a key, `/` shows nothing about bundles without one.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from smidgen.core import quantities
from smidgen.gateway.certificate_status import read_status
from smidgen.judge import wording
from smidgen.server.gateway.certificates import certificate_of
from smidgen.server.models import ServedBundle, takes_pairs
from smidgen.server.service import Service

_LABELS = 60
_LONGEST = 300
"""Most characters of a name or a sentence on the page."""
_HOME, _DOCS = "home.html", "docs.html"
_CHAT, _CLASSIFY = "/v1/chat/completions", "/v1/classify"


def face(service: Service) -> APIRouter:
    """Return the routes. They are not in the OpenAPI document."""
    router = APIRouter()
    settings = service.settings
    described = files("smidgen.server.ops").joinpath(_DOCS).read_bytes()

    @router.get("/", include_in_schema=False)
    async def home() -> Response:
        keyed = settings.access.keyed
        models = [] if keyed else [await _told(service, model) for model in list(service.models.values())]
        html = _template().render(
            keyed=keyed,
            models=models,
            large=() if keyed else settings.fallback.models,
            taken=_taken(models, settings.fallback.models if not keyed else ()),
            longest=settings.limits.max_chars,
        )
        headers = {"Content-Security-Policy": policy(_HOME), "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return HTMLResponse(html, headers=headers)

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(described, headers={"Content-Security-Policy": policy(_DOCS)})

    return router


def _taken(models: Sequence[Mapping[str, Any]], large: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the models for the form: the bundles, or without bundles the large model."""
    asked = [{"name": model["name"], "path": model["path"], "pairs": model["pairs"]} for model in models]
    return asked or [{"name": name, "path": _CHAT, "pairs": False} for name in large[:1]]


async def _told(service: Service, model: ServedBundle) -> dict[str, Any]:
    """Describe a bundle for the page."""
    found = await read_status(certificate_of(service, model))
    manifest, form = model.manifest, model.form
    labels = [label[:_LONGEST] for label in form.names]
    paper = found.certificate
    return {
        "name": model.name,
        "id": model.id,
        "task": model.task.name,
        "summary": model.task.summary,
        "pairs": takes_pairs(model),
        "path": _CLASSIFY if takes_pairs(model) else _CHAT,
        "things": "labels" if form.labelling is not None else "kinds",
        "labels": labels[:_LABELS],
        "more": max(0, len(labels) - _LABELS),
        "measured": _measured(manifest),
        "facts": _facts(manifest),
        "valid": found.valid,
        "state": "none yet" if found.state.value == "none" else found.state.value,
        "why": "" if found.valid else found.why[:_LONGEST],
        "statement": paper.statement if paper is not None and found.valid else "",
        "until": paper.valid_until.date().isoformat() if paper is not None and found.valid else "",
    }


def _measured(manifest: Any) -> tuple[str, str] | None:
    """Return the headline metric and its confidence interval in words; None if not measured."""
    name = getattr(manifest, "headline", "")
    found = getattr(manifest, "metrics", {}).get(name)
    if found is None:
        return None
    rows = f"on {found.n:,} test rows that it never saw"
    if wording.known(name):
        return (
            f"{wording.name(name)} {found.value:.3f}",
            f"between {found.low:.3f} and {found.high:.3f} with 95 % confidence, {rows}",
        )
    span = f"between {100 * found.low:.1f} and {100 * found.high:.1f}{quantities.NBSP}% with 95{quantities.NBSP}% confidence, {rows}"
    return f"{wording.plain(name)} {quantities.percent(found.value)}", span


def _facts(manifest: Any) -> str:
    """Describe in a few words how the bundle was made."""
    if manifest is None:
        return ""
    made = [f"{manifest.student} model"] if manifest.student else []
    made += [f"from {manifest.base.name}"] if manifest.base is not None else []
    return " ".join([*made, f"built on {manifest.created[:10]}"])


@functools.cache
def _template() -> Any:
    made = Environment(
        loader=PackageLoader("smidgen.server.ops", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["data"] = lambda value: json.dumps(value, ensure_ascii=True)
    return made.get_template(_HOME)


@functools.cache
def policy(page: str) -> str:
    """Return the content security policy of a page: its own style and script, by hash, and calls to this server.

    Data on the page can neither run nor load anything.
    """
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
