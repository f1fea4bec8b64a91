"""`/api/v1/samples`: examples to start from, and the sample project."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from pydantic import BaseModel, Field

from smidgen.flows.sample_recipes import sample_names, sample_recipe
from smidgen.studio.api.access import Builder, Editor, Viewer
from smidgen.studio.flows.project_overview import ProjectOverview, project_overview
from smidgen.studio.flows.samples import create_from_sample, open_sample
from smidgen.studio.store.projects import StudioStore


class ProjectSample(BaseModel):
    """An example: a recipe that comes with smidgen, with its data."""

    name: str
    task: str
    summary: str


class SampleTitle(BaseModel):
    """The name of the new project; without it, by that of the example."""

    name: str | None = Field(None, min_length=1, max_length=200)


def sample_routes(store: StudioStore, wake: Callable[[], None]) -> APIRouter:
    """The routes of examples. `wake` is called after a run was queued."""
    router = APIRouter(prefix="/api/v1", tags=["projects"])

    @router.get("/samples")
    def list_samples(person: Viewer) -> list[ProjectSample]:
        """List the examples that a project can begin with."""
        found = [sample_recipe(name) for name in sample_names()]
        return [ProjectSample(name=sample.name, task=sample.tree["task"], summary=sample.summary) for sample in found]

    @router.post("/samples/{sample}", status_code=201)
    def start_from_sample(person: Editor, sample: str, body: SampleTitle) -> ProjectOverview:
        """Make a project from an example, with its rows and its recipe."""
        project = create_from_sample(store, sample, person.name, body.name)
        wake()
        return project_overview(project)

    @router.post("/sample-project", status_code=201)
    def open_sample_project(person: Builder, body: SampleTitle) -> ProjectOverview:
        """Open the sample project; it is made where there is none. Without a model, its build is started."""
        project = open_sample(store, person.name, body.name)
        wake()
        return project_overview(project)

    return router
