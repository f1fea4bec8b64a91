"""`/api/v1/goals` and `/api/v1/projects`: what can be built, and the projects that people work in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from smidgen.parts import registry
from smidgen.store.step_results import limit_of, prune, size_of, step_folders
from smidgen.studio.api.access import Editor, Owner, Viewer
from smidgen.studio.flows.project_overview import ProjectOverview, project_overview
from smidgen.studio.flows.samples import begin_project
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
