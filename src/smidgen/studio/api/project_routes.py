"""`/api/v1/goals`, `/projects`, `/samples` and `/models`: what can be built, the projects that people work in, and what they begin with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from smidgen.core.errors import RequestError
from smidgen.flows.sample_recipes import sample_names, sample_recipe
from smidgen.parts import registry
from smidgen.store.step_results import limit_of, prune, size_of, step_folders
from smidgen.studio.api.access import Builder, Editor, Owner, Viewer
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.uploads import forget_upload, new_upload
from smidgen.studio.flows.material import ProjectOverview, project_overview
from smidgen.studio.flows.models.brought_models import open_folder, open_zip
from smidgen.studio.flows.samples import begin_project, create_from_sample, open_sample
from smidgen.studio.store.projects import StudioStore


class Goal(BaseModel):
    """A kind of job that a model can be built for."""

    task: str
    summary: str


class NewProject(BaseModel):
    """A project to make."""

    name: str = Field(min_length=1, max_length=200)
    task: str = Field(min_length=1, max_length=100)


class ProjectChange(BaseModel):
    """Changes of a project; what is left out stays."""

    name: str | None = Field(None, min_length=1, max_length=200)
    settings: dict[str, Any] | None = None


class BuildResults(BaseModel):
    """The stored results of build steps on this machine."""

    bytes: int = Field(description="What they take of the disk.")
    limit: int = Field(description="Above this, the least recently used are removed after each build.")


class ClearedResults(BaseModel):
    """The bytes that clearing build results freed."""

    freed: int = Field(description="Bytes.")


def project_routes(store: StudioStore, delete: Callable[[str], None]) -> APIRouter:
    """The routes of goals and projects. `delete` deletes one with all that runs for it."""
    router = APIRouter(prefix="/api/v1", tags=["projects"])

    @router.get("/goals")
    def read_goals(person: Viewer) -> list[Goal]:
        """List the kinds of jobs. A task that was added to smidgen is in the list by itself."""
        return [Goal(task=name, summary=registry.find("tasks", name).summary) for name in registry.names("tasks")]

    @router.get("/build-results")
    def read_build_results(person: Viewer) -> BuildResults:
        """Say how much of the disk the stored results of build steps take: those of the Studio and those of the commands."""
        folders = step_folders()
        return BuildResults(bytes=size_of(folders), limit=limit_of(folders))

    @router.delete("/build-results")
    def clear_build_results(person: Owner) -> ClearedResults:
        """Remove the results that no running build uses. Models, data and reports stay; the next build takes longer."""
        return ClearedResults(freed=prune(step_folders(), 0))

    @router.get("/projects")
    def list_projects(person: Viewer) -> list[ProjectOverview]:
        """List the projects, the last changed first."""
        return [project_overview(project) for project in store.projects()]

    @router.post("/projects", status_code=201)
    def create_project(person: Editor, body: NewProject) -> ProjectOverview:
        """Make an empty project for one of the goals. One that consists of files begins with some to fill in."""
        return project_overview(begin_project(store, body.name, body.task))

    @router.get("/projects/{project}")
    def read_project(person: Viewer, project: str) -> ProjectOverview:
        """Read one project."""
        return project_overview(store.project(project))

    @router.patch("/projects/{project}")
    def change_project(person: Editor, project: str, body: ProjectChange) -> ProjectOverview:
        """Rename a project, or change its settings."""
        return project_overview(store.update(project, name=body.name, settings=body.settings))

    @router.delete("/projects/{project}", status_code=204)
    def delete_project(person: Owner, project: str) -> None:
        """Delete a project with its data, runs and models, its server and the requests that were captured."""
        delete(project)

    return router


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


MOST_MODEL = 2 << 30
"""Bytes of a ZIP file."""

FileName = Annotated[str, Query(max_length=300)]


class ModelFolder(BaseModel):
    """A folder of this machine with a model."""

    path: str = Field(min_length=1, max_length=4_000)


def model_routes(store: StudioStore, here: bool) -> APIRouter:
    """The routes of models from elsewhere. `here`: the Studio is open to this machine alone, so that its owner may name a folder."""
    router = APIRouter(prefix="/api/v1/models", tags=["models"])

    @router.post("/uploads", status_code=201, openapi_extra=FILE_BODY)
    async def open_model_file(person: Builder, request: Request, name: FileName) -> ProjectOverview:
        """Open a model from a ZIP file, as the page Report gives it: a project with the model as a finished build."""
        file, _ = new_upload(name)
        try:
            await receive_file(request, file, MOST_MODEL, "studio.model_is_larger_than_mb")
            project = await run_in_threadpool(open_zip, store, file, person.name)
        finally:
            forget_upload(file)
        return project_overview(project)

    @router.post("/folder", status_code=201)
    def open_model_folder(person: Owner, body: ModelFolder) -> ProjectOverview:
        """Open a model from a folder of this machine, of which a copy is made. Only where the Studio is open to this machine alone."""
        if not here:
            raise RequestError("studio.this_studio_does_not_open_folders", value=body.path, status=409, code="not_here")
        return project_overview(open_folder(store, Path(body.path), person.name))

    return router
