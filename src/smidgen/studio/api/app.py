"""The Studio's application: its page and its API behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from smidgen.core.version import VERSION
from smidgen.parts import registry
from smidgen.server.access import LOCAL_HOSTS, ClientAddress, HostMiddleware
from smidgen.server.errors import handle_in
from smidgen.studio.api.access import StudioAccess, StudioGuard, Viewer
from smidgen.studio.api.data_routes import captured_routes, data_routes
from smidgen.studio.api.errors import STUDIO_RESPONSES, tell_errors
from smidgen.studio.api.file_routes import document_routes, file_routes
from smidgen.studio.api.host import StudioHost
from smidgen.studio.api.look_routes import look_routes
from smidgen.studio.api.pages import pages
from smidgen.studio.api.project_routes import model_routes, project_routes, sample_routes
from smidgen.studio.api.recipe_routes import part_routes, recipe_routes
from smidgen.studio.api.report_routes import cost_routes, report_routes
from smidgen.studio.api.run_routes import run_routes
from smidgen.studio.api.serving_routes import learn_routes, serving_routes
from smidgen.studio.api.session_routes import session_routes
from smidgen.studio.api.tool_routes import tool_routes
from smidgen.studio.api.try_routes import try_routes
from smidgen.studio.flows.deletion import delete_project
from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.flows.serving.servers import ModelServers
from smidgen.studio.flows.supervisor import Supervisor
from smidgen.studio.store.projects import StudioStore


@dataclass(frozen=True)
class StudioSettings:
    """How the Studio listens. `hosts`: further names that it answers to. `secure`: it stands behind HTTPS.

    `address_header`: in which its proxy tells the address of who asks.
    """

    host: str = "127.0.0.1"
    hosts: Sequence[str] = ()
    accounts_needed: bool = False
    secure: bool = False
    address_header: str = ""


def create_studio(store: StudioStore, access: StudioAccess, settings: StudioSettings, page: Path | None) -> FastAPI:
    """The application. `page` is the folder of the built page; None serves the API alone."""
    supervisor, servers, models = Supervisor(store), ModelServers(store), OpenModels()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        supervisor.start()
        yield
        supervisor.close()
        models.close()

    app = FastAPI(
        title="smidgen Studio",
        version=VERSION,
        description="From a spreadsheet to a running small model.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=STUDIO_RESPONSES,
        middleware=[
            Middleware(HostMiddleware, names=(*LOCAL_HOSTS, settings.host, *settings.hosts)),
            Middleware(StudioGuard, access=access, secure=settings.secure),
        ],
    )

    @app.get("/api/v1/openapi.json", include_in_schema=False, tags=["session"])
    async def description(_: Viewer) -> dict[str, Any]:
        """Describe every route, in OpenAPI."""
        return app.openapi()

    app.include_router(session_routes(access, settings.secure, ClientAddress(settings.address_header, "--address-header")))
    app.include_router(project_routes(store, lambda project: delete_project(store, project, servers)))
    app.include_router(model_routes(store, here=not settings.accounts_needed))
    app.include_router(file_routes(store))
    app.include_router(document_routes(store, models))
    app.include_router(data_routes(store, supervisor.wake))
    app.include_router(captured_routes(store, supervisor.wake))
    app.include_router(look_routes(store))
    app.include_router(recipe_routes(store))
    app.include_router(cost_routes(store))
    app.include_router(sample_routes(store, supervisor.wake))
    app.include_router(run_routes(store, supervisor))
    app.include_router(serving_routes(store, servers))
    app.include_router(learn_routes(store, supervisor.wake))
    app.include_router(part_routes(store))
    app.include_router(report_routes(store))
    app.include_router(try_routes(store, models))
    app.include_router(tool_routes(store, models))
    host = StudioHost(store, servers, models, here=not settings.accounts_needed)
    for name in registry.names("studio.pages"):
        app.include_router(registry.find("studio.pages", name)(host))
    if page is not None:
        app.include_router(pages(page))
    handle_in(app)
    tell_errors(app)
    return app
