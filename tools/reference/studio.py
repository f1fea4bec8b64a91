"""The Studio's API: its routes with the role that each needs, the kinds of runs, and the bodies, from the application itself."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from smidgen.parts import registry
from smidgen.studio.api.access import ROLES, StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.store.projects import StudioStore
from tools.reference.tables import model_sections, table


def parts() -> dict[str, str]:
    """The tables of the page."""
    with tempfile.TemporaryDirectory() as folder:
        store = StudioStore(f"sqlite:///{folder}/studio.db")
        routes = list(_routes(create_studio(store, StudioAccess(store), StudioSettings(), None)))
        store.close()
    return {"routes": _tables(routes), "runs": _runs(), "bodies": model_sections(*_bodies(routes))}


def _routes(app: FastAPI) -> Iterator[APIRoute]:
    for route in app.routes:
        inner = [route] if isinstance(route, APIRoute) else list(getattr(getattr(route, "original_router", None), "routes", []))
        yield from (one for one in inner if isinstance(one, APIRoute) and one.path.startswith("/api/v1/"))


def _tables(routes: list[APIRoute]) -> str:
    """A table of routes under each tag."""
    by_tag: dict[str, list[tuple[str, str, str]]] = {}
    for route in routes:
        called = f"`{' '.join(sorted(route.methods or ()))} {route.path.removeprefix('/api/v1/')}`"
        row = (called, _role(route), " ".join((route.description or "").split()))
        by_tag.setdefault(str(route.tags[0]), []).append(row)
    return "\n".join(f"### {tag.capitalize()}\n\n{table(('call', 'role', 'what it does'), rows)}" for tag, rows in by_tag.items())


def _role(route: APIRoute) -> str:
    """The lowest role that may call it; anybody where it asks for none."""
    needed = [getattr(part.call, "permission", None) for part in route.dependant.dependencies]
    permission = next((name for name in needed if name), None)
    return "anybody" if permission is None else next(role for role, granted in ROLES.items() if permission in granted)


def _runs() -> str:
    found = (
        (f"`{name}`", (inspect.getdoc(registry.find("studio.flows", name)) or "").partition("\n\n"))
        for name in registry.names("studio.flows")
    )
    return table(("kind", "what it does", "more"), ((name, about, more) for name, (about, _, more) in found))


def _bodies(routes: list[APIRoute]) -> list[type[BaseModel]]:
    """The models of what is sent, each once."""
    found: dict[type[BaseModel], None] = {}
    for route in routes:
        for sent in route.dependant.body_params:
            kind: Any = sent.field_info.annotation
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                found[kind] = None
    return list(found)
