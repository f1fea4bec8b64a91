"""`/api/v1/projects/{project}/line`, `…/review` and `…/jobs`: learn from use, and undo what was learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.errors import RequestError
from smidgen.studio.api.access import Editor, Operator, Viewer
from smidgen.studio.api.project_routes import ProjectView, project_view
from smidgen.studio.api.serving_routes import CapturedView
from smidgen.studio.flows.data.review import label_request, read_queue, skip_request
from smidgen.studio.flows.jobs import project_of_job
from smidgen.studio.flows.look import queue_look
from smidgen.studio.flows.serving.line import LineVersion, ProjectLine, go_back, read_line
from smidgen.studio.store.data_rows import DataVersion
from smidgen.studio.store.projects import StudioStore

_MOST_QUEUED = 100


class QualityView(BaseModel):
    """The headline metric of a version, with its interval."""

    name: str
    value: float
    low: float
    high: float


class LineVersionView(BaseModel):
    """A version of the line that can serve."""

    id: str
    quality: QualityView | None


class LineChangeView(BaseModel):
    """A change of the version that serves: `by` learning, a roll-back, or hand."""

    time: float = Field(description="Seconds since 1970.")
    by: str
    champion: str
    before: str | None
    why: str


class LineView(BaseModel):
    """The line of a project's model."""

    name: str
    champion: str | None
    held_out: float
    history: list[LineChangeView] = Field(description="The latest change first.")
    versions: list[LineVersionView]
    last_outcome: str | None = Field(description="Of the last learning: `promoted` or `kept`.")
    last_why: str
    last_time: float | None
    waiting: int = Field(description="Captured answers since then.")


class RollBack(BaseModel):
    """The version to go back to, and why."""

    version: str = Field(pattern=r"^[0-9a-f]{12}$")
    reason: str = Field("", max_length=1000)


class QueueView(BaseModel):
    """Captured requests to look at."""

    waiting: int
    done: int
    requests: list[CapturedView]


class Review(BaseModel):
    """A decision on a captured request: its right answer, or to skip it."""

    output: Any = None
    skip: bool = False


class NewJobProject(BaseModel):
    """The name of the project to make from a job."""

    name: str = Field(min_length=1, max_length=200)


def _quality(version: LineVersion) -> QualityView | None:
    if version.quality is None:
        return None
    name, value, low, high = version.quality
    return QualityView(name=name, value=value, low=low, high=high)


def _line(found: ProjectLine) -> LineView:
    last = found.last if found.last is not None and found.last.at.year > 1970 else None
    return LineView(
        name=found.name,
        champion=found.champion,
        held_out=found.held_out,
        history=[
            LineChangeView(time=turn.at.timestamp(), by=turn.by, champion=turn.champion, before=turn.before, why=turn.why)
            for turn in reversed(found.history)
        ],
        versions=[LineVersionView(id=version.id, quality=_quality(version)) for version in found.versions],
        last_outcome=None if last is None else last.outcome,
        last_why="" if last is None else last.why,
        last_time=None if last is None else last.at.timestamp(),
        waiting=found.waiting,
    )


def learn_routes(store: StudioStore, wake: Callable[[], None]) -> APIRouter:
    """The routes of learning. `wake` tells the supervisor that a run waits."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["learning"])

    @router.get("/line")
    def read_project_line(person: Viewer, project: str) -> LineView | None:
        """Read the line; null where there is none yet. A run `learn` begins it."""
        found = read_line(store.project(project).id)
        return None if found is None else _line(found)

    @router.post("/line/rollback")
    def roll_line_back(person: Operator, project: str, body: RollBack) -> LineView:
        """Let an earlier version serve again. A running server switches within two seconds."""
        go_back(store.project(project).id, body.version, body.reason.strip())
        found = read_line(project)
        assert found is not None
        return _line(found)

    @router.get("/review")
    def read_review(person: Viewer, project: str, limit: int = Query(20, ge=1, le=_MOST_QUEUED)) -> QueueView:
        """List captured requests that were passed on or corrected, those first that the model was least sure of."""
        found = read_queue(store, store.project(project).id, limit)
        requests = [CapturedView(**{**asdict(one), "time": one.time.timestamp()}) for one in found.requests]
        return QueueView(waiting=found.waiting, done=found.done, requests=requests)

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
    def build_job(person: Editor, project: str, job: str, body: NewJobProject) -> ProjectView:
        """Make a project from a recurring job that a run `jobs` found, and look at its rows."""
        made = project_of_job(store, store.project(project).id, job, body.name, person.name)
        if queue_look(store, made.id, person.name) is not None:
            wake()
        return project_view(made)

    return router
