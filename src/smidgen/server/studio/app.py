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
from smidgen.flows.projects.deletion import delete_project
from smidgen.flows.projects.models.open_models import OpenModels
from smidgen.flows.projects.serving.servers import ModelServers
from smidgen.flows.projects.supervisor import Supervisor
from smidgen.server.client_address import ClientAddress
from smidgen.server.errors import handle_in
from smidgen.server.middleware import LOCAL_HOSTS, HostMiddleware
from smidgen.server.studio.access import StudioAccess, StudioGuard, Viewer
from smidgen.server.studio.captured_routes import captured_routes
from smidgen.server.studio.channel_routes import channel_routes
from smidgen.server.studio.code_routes import code_routes
from smidgen.server.studio.conversation_routes import conversation_routes
from smidgen.server.studio.cost_routes import cost_routes
from smidgen.server.studio.data_routes import data_routes
from smidgen.server.studio.document_routes import document_routes
from smidgen.server.studio.errors import STUDIO_RESPONSES, tell_errors
from smidgen.server.studio.file_routes import file_routes
from smidgen.server.studio.intent_routes import intent_routes
from smidgen.server.studio.learn_routes import learn_routes
from smidgen.server.studio.look_routes import look_routes
from smidgen.server.studio.model_routes import model_routes
from smidgen.server.studio.pages import pages
from smidgen.server.studio.part_routes import part_routes
from smidgen.server.studio.plan_routes import plan_routes
from smidgen.server.studio.policy_routes import policy_routes
from smidgen.server.studio.project_routes import project_routes
from smidgen.server.studio.recipe_routes import recipe_routes
from smidgen.server.studio.report_routes import report_routes
from smidgen.server.studio.repository_routes import repository_routes
from smidgen.server.studio.run_routes import run_routes
from smidgen.server.studio.sample_routes import sample_routes
from smidgen.server.studio.serving_routes import serving_routes
from smidgen.server.studio.session_routes import session_routes
from smidgen.server.studio.tool_routes import tool_routes
from smidgen.server.studio.try_routes import try_routes
from smidgen.store.studio.store import StudioStore


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
    app.include_router(channel_routes(store, servers))
    app.include_router(conversation_routes(store))
    app.include_router(learn_routes(store, supervisor.wake))
    app.include_router(part_routes(store))
    app.include_router(report_routes(store))
    app.include_router(try_routes(store, models))
    app.include_router(code_routes(store, models))
    app.include_router(tool_routes(store, models))
    app.include_router(policy_routes(store, models))
    app.include_router(intent_routes(store))
    app.include_router(plan_routes(store))
    app.include_router(repository_routes(store, here=not settings.accounts_needed))
    if page is not None:
        app.include_router(pages(page))
    handle_in(app)
    tell_errors(app)
    return app
