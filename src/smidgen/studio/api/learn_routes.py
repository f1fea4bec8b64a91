"""`/api/v1/projects/{project}/line`, `…/review` and `…/jobs`: learn from use, and undo what was learnt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.errors import RequestError
from smidgen.studio.api.access import Editor, Operator, Viewer
from smidgen.studio.flows.data.review import ReviewQueue, label_request, read_queue, skip_request
from smidgen.studio.flows.jobs import project_of_job
from smidgen.studio.flows.look import queue_look
from smidgen.studio.flows.project_overview import ProjectOverview, project_overview
from smidgen.studio.flows.serving.line import ProjectLine, go_back, read_line
from smidgen.studio.store.data_rows import DataVersion
from smidgen.studio.store.projects import StudioStore

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
