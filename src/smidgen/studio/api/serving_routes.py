"""`/api/v1/projects/{project}/serving`, `…/certificates`, `…/traffic`, `…/line` and `…/review`: serve a model, and learn from use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.errors import RequestError
from smidgen.flows.operating_point import OperatingPoint
from smidgen.store.traffic.requests import RequestFilter, RequestGroup, RequestOrder, StoredRequest
from smidgen.studio.api.access import Editor, Operator, Viewer
from smidgen.studio.flows.data.review import ReviewQueue, label_request, read_queue, skip_request
from smidgen.studio.flows.jobs import project_of_job
from smidgen.studio.flows.look import queue_look
from smidgen.studio.flows.material import ProjectOverview, project_overview
from smidgen.studio.flows.models.project_point import newest_model
from smidgen.studio.flows.serving.certificates import ModelCertificate, read_certificate, revoke_certificate
from smidgen.studio.flows.serving.line import ProjectLine, go_back, read_line
from smidgen.studio.flows.serving.live_traffic import LiveTraffic, list_requests, read_traffic
from smidgen.studio.flows.serving.servers import (
    ModelServers,
    ServerState,
    ServerStatus,
    ServingSettings,
    has_fallback_key,
    keep_fallback_key,
    kind_of,
    limits_of,
    served_folder,
    served_point,
    uncalled_tools,
    write_keys,
)
from smidgen.studio.flows.serving.shown import ShownPage
from smidgen.studio.flows.serving.snippets import example_text, snippets
from smidgen.studio.store.data_rows import DataVersion
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.servers import MadeKey, ServerStore, ServingKey

_MOST_REQUESTS = 200
_MOST_DAYS = 366
_EXAMPLES = 20
"""Rows that are looked through for one that shows how to call the model."""


class ModelServing(BaseModel):
    """The server of a project. It never shows a key."""

    state: ServerState
    settings: ServingSettings
    url: str = Field(description="Its address; empty while it does not run.")
    name: str = Field(description="The name under which requests ask for the model; empty for none.")
    started: float | None = Field(description="Seconds since 1970.")
    message: str = Field(description="Why it does not answer; empty otherwise.")
    log: list[str] = Field(description="Its last lines, if it has failed.")
    point: OperatingPoint | None = Field(description="Where that model answers by itself; null where nothing was measured.")
    newest: str = Field(description="The project's newest model; empty without one.")
    has_fallback_key: bool
    keyed: bool = Field(description="Whether callers need an API key: from the first one that was made on.")
    limits: dict[str, Any] = Field(
        description="Settings of the recipe's `[route]` that limit what goes to the large model, as they hold or would hold."
    )
    snippets: dict[str, str] = Field(description="Lines to paste that call it, by language; empty while it does not run.")
    desk: ShownPage | None = Field(description="The desk that it shows to customers; null if it shows none.")
    redrawn: bool = Field(description="Whether the recipe's `[route]` has changed since it was started: the next start follows it.")
    uncalled: list[str] = Field(description="The desk's tools that cannot be called, because no tool file is known: it proposes none.")


class ServingStart(BaseModel):
    """How to serve. `fallback_key`: the large model's API key; null keeps the one that is known, an empty text removes it."""

    settings: ServingSettings
    fallback_key: str | None = Field(None, max_length=4096)


class NewKey(BaseModel):
    """A key to make."""

    name: str = Field(min_length=1, max_length=100)


class CertificateEnd(BaseModel):
    """Why a certificate is revoked."""

    reason: str = Field(min_length=1, max_length=1000)


class CapturedPage(BaseModel):
    """Some captured requests, and how many there are."""

    total: int
    requests: list[StoredRequest]


def _shown(store: StudioStore, project: str, status: ServerStatus) -> ShownPage | None:
    folder = served_folder(store, project, status.settings.model)
    kind = None if folder is None else kind_of(folder)
    return None if kind is None else kind.page(store, project, status.url, status.name, status.started or 0.0)


def serving_routes(store: StudioStore, servers: ModelServers) -> APIRouter:
    """The routes of serving."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["serving"])
    records = ServerStore(store.database)

    def view(project: str, status: ServerStatus) -> ModelServing:
        return ModelServing(
            state=status.state,
            settings=status.settings,
            url=status.url,
            name=status.name,
            started=status.started,
            message=status.message,
            log=list(status.log),
            point=served_point(store, project, status.settings.model),
            newest=newest_model(store, project) or "",
            has_fallback_key=has_fallback_key(project),
            keyed=bool(records.keys(project)),
            limits=limits_of(store, project, running=bool(status.url)),
            snippets=lines(project, status) if status.url else {},
            desk=_shown(store, project, status) if status.desk and status.url else None,
            redrawn=status.redrawn,
            uncalled=uncalled_tools(store, project, status.settings.model),
        )

    def lines(project: str, status: ServerStatus) -> dict[str, str]:
        text = example_text(store.rows(project).page(0, _EXAMPLES))
        return dict(snippets(status.url, status.name or status.settings.fallback_model, text))

    @router.get("/serving")
    def read_serving(person: Viewer, project: str) -> ModelServing:
        """Read the state of the server. A server that ended by itself is told with its last lines."""
        return view(project, servers.status(store.project(project).id))

    @router.post("/serving/start")
    def start_serving(person: Operator, project: str, body: ServingStart) -> ModelServing:
        """Start the server. It answers some seconds later."""
        store.project(project)
        if body.fallback_key is not None:
            keep_fallback_key(project, body.fallback_key.strip())
        return view(project, servers.start(project, body.settings, person.name))

    @router.post("/serving/stop")
    def stop_serving(person: Operator, project: str) -> ModelServing:
        """Stop the server. Requests that it works on may end first."""
        return view(project, servers.stop(store.project(project).id))

    @router.post("/serving/newest")
    def serve_newest(person: Operator, project: str) -> ModelServing:
        """Serve the newest model in place of the running one, with the same settings. It answers some seconds later."""
        return view(project, servers.serve_newest(store.project(project).id, person.name))

    @router.get("/serving/keys")
    def list_keys(person: Operator, project: str) -> list[ServingKey]:
        """List the API keys, the newest first, revoked ones too."""
        return records.keys(store.project(project).id)

    @router.post("/serving/keys", status_code=201)
    def make_key(person: Operator, project: str, body: NewKey) -> MadeKey:
        """Make an API key, which works at once. As soon as one key exists, calls without a key are refused."""
        key = records.make_key(store.project(project).id, body.name, person.name)
        write_keys(store, project)
        return key

    @router.delete("/serving/keys/{key}", status_code=204)
    def revoke_key(person: Operator, project: str, key: str) -> None:
        """Revoke an API key for good. It is refused at once."""
        records.revoke_key(store.project(project).id, key)
        write_keys(store, project)

    @router.get("/certificates/{model}")
    def read_model_certificate(
        person: Viewer,
        project: str,
        model: str,
        alpha: float = Query(0.05, gt=0, lt=1, description="Share of wrong answers for which `fewest` counts the rows."),
        delta: float = Query(0.05, gt=0, lt=1, description="Chance that a promise of that share does not hold."),
    ) -> ModelCertificate:
        """Read how the certificate of a build, or of `line`, stands. A run `certify` issues one."""
        return read_certificate(store, store.project(project).id, model, alpha, delta)

    @router.post("/certificates/{model}/revoke", status_code=204)
    def revoke_model_certificate(person: Operator, project: str, model: str, body: CertificateEnd) -> None:
        """Revoke the certificate for good: from now on every request is passed on."""
        revoke_certificate(store, store.project(project).id, model, body.reason)

    @router.get("/traffic")
    def read_live_traffic(person: Viewer, project: str, days: int = Query(7, ge=1, le=_MOST_DAYS)) -> LiveTraffic:
        """Read the figures of the last days, today (UTC) included."""
        model = servers.status(store.project(project).id).settings.model
        return read_traffic(store, project, model, days)

    @router.get("/traffic/requests")
    def list_captured(
        person: Viewer,
        project: str,
        group: RequestGroup = "all",
        why: str | None = Query(None, max_length=200, description="Only requests that were passed on for this reason."),
        search: str = Query("", max_length=500),
        days: int | None = Query(None, ge=1, le=_MOST_DAYS),
        order: RequestOrder = "newest",
        offset: int = Query(0, ge=0),
        limit: int = Query(50, ge=1, le=_MOST_REQUESTS),
    ) -> CapturedPage:
        """List captured requests: the rows behind each figure."""
        since = None
        if days is not None:
            since = (datetime.now(UTC) - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
        where = RequestFilter(since, group, why, search)
        total, found = list_requests(store.project(project).id, where, offset, limit, order)
        return CapturedPage(total=total, requests=found)

    return router


_MOST_QUEUED = 100


class RollBack(BaseModel):
    """The version to go back to, and why."""

    version: str = Field(pattern=r"^[0-9a-f]{12}$")
    reason: str = Field("", max_length=1000)


class Review(BaseModel):
    """A decision on a captured request: its right answer, or to skip it."""

    output: Any = None
    skip: bool = False


class NewJobProject(BaseModel):
    """The name of the project to make from a job."""

    name: str = Field(min_length=1, max_length=200)


def learn_routes(store: StudioStore, wake: Callable[[], None]) -> APIRouter:
    """The routes of learning. `wake` tells the supervisor that a run waits."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["learning"])

    @router.get("/line")
    def read_project_line(person: Viewer, project: str) -> ProjectLine | None:
        """Read the line; null where there is none yet. A run `learn` begins it."""
        return read_line(store.project(project).id)

    @router.post("/line/rollback")
    def roll_line_back(person: Operator, project: str, body: RollBack) -> ProjectLine:
        """Let an earlier version serve again. A running server switches within two seconds."""
        go_back(store.project(project).id, body.version, body.reason.strip())
        found = read_line(project)
        assert found is not None
        return found

    @router.get("/review")
    def read_review(person: Viewer, project: str, limit: int = Query(20, ge=1, le=_MOST_QUEUED)) -> ReviewQueue:
        """List captured requests that were passed on or corrected, those first that the model was least sure of."""
        return read_queue(store, store.project(project).id, limit)

    @router.post("/review/{request}")
    def review(person: Editor, project: str, request: str, body: Review) -> DataVersion | None:
        """Add a captured request with its right answer to the data, or skip it."""
        store.project(project)
        if body.skip:
            skip_request(store, project, request, person.name)
            return None
        if body.output is None:
            raise RequestError("studio.there_is_no_answer", value="nothing", param="output")
        return label_request(store, project, request, body.output, person.name)

    @router.post("/jobs/{job}/project", status_code=201)
    def build_job(person: Editor, project: str, job: str, body: NewJobProject) -> ProjectOverview:
        """Make a project from a recurring job that a run `jobs` found, and look at its rows."""
        made = project_of_job(store, store.project(project).id, job, body.name, person.name)
        if queue_look(store, made.id, person.name) is not None:
            wake()
        return project_overview(made)

    return router
