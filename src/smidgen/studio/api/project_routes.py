"""`/api/v1/goals` and `/api/v1/projects`: what can be built, and the projects that people work in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from smidgen.flows.recipe_files import MaterialKind
from smidgen.parts import registry
from smidgen.store.step_results import limit_of, prune, size_of, step_folders
from smidgen.studio.api.access import Editor, Owner, Viewer
from smidgen.studio.flows.material import material_kinds
from smidgen.studio.flows.samples import begin_project
from smidgen.studio.store.projects import Project, StudioStore


class GoalView(BaseModel):
    """A kind of job that a model can be built for."""

    task: str
    summary: str


class ProjectView(BaseModel):
    """A project."""

    id: str
    name: str
    task: str
    created: float = Field(description="Seconds since 1970.")
    changed: float = Field(description="Seconds since 1970.")
    version: int = Field(description="The newest version of its data; 0 before the first import.")
    settings: dict[str, Any]
    kinds: list[MaterialKind] = Field(description="The kinds of files that it consists of; empty for a project of rows.")
    converses: bool = Field(description="Whether its model talks with customers: it has channels and conversations.")


class NewProject(BaseModel):
    """A project to make."""

    name: str = Field(min_length=1, max_length=200)
    task: str = Field(min_length=1, max_length=100)


class ProjectChange(BaseModel):
    """Changes of a project; what is left out stays."""

    name: str | None = Field(None, min_length=1, max_length=200)
    settings: dict[str, Any] | None = None


class BuildResultsView(BaseModel):
    """The stored results of build steps on this machine."""

    bytes: int = Field(description="What they take of the disk.")
    limit: int = Field(description="Above this, the least recently used are removed after each build.")


class ClearedView(BaseModel):
    """The bytes that clearing build results freed."""

    freed: int = Field(description="Bytes.")


def project_view(project: Project) -> ProjectView:
    """A project as the API shows it."""
    return ProjectView(
        id=project.id,
        name=project.name,
        task=project.task,
        created=project.created,
        changed=project.changed,
        version=project.version,
        settings=dict(project.settings),
        kinds=material_kinds(project),
        converses=registry.find("tasks", project.task).serving is not None if project.task in registry.names("tasks") else False,
    )


def project_routes(store: StudioStore, delete: Callable[[str], None]) -> APIRouter:
    """The routes of goals and projects. `delete` deletes one with all that runs for it."""
    router = APIRouter(prefix="/api/v1", tags=["projects"])

    @router.get("/goals")
    def read_goals(person: Viewer) -> list[GoalView]:
        """List the kinds of jobs. A task that was added to smidgen is in the list by itself."""
        return [GoalView(task=name, summary=registry.find("tasks", name).summary) for name in registry.names("tasks")]

    @router.get("/build-results")
    def read_build_results(person: Viewer) -> BuildResultsView:
        """Say how much of the disk the stored results of build steps take: those of the Studio and those of the commands."""
        folders = step_folders()
        return BuildResultsView(bytes=size_of(folders), limit=limit_of(folders))

    @router.delete("/build-results")
    def clear_build_results(person: Owner) -> ClearedView:
        """Remove the results that no running build uses. Models, data and reports stay; the next build takes longer."""
        return ClearedView(freed=prune(step_folders(), 0))

    @router.get("/projects")
    def list_projects(person: Viewer) -> list[ProjectView]:
        """List the projects, the last changed first."""
        return [project_view(project) for project in store.projects()]

    @router.post("/projects", status_code=201)
    def create_project(person: Editor, body: NewProject) -> ProjectView:
        """Make an empty project for one of the goals. One that consists of files begins with some to fill in."""
        return project_view(begin_project(store, body.name, body.task))

    @router.get("/projects/{project}")
    def read_project(person: Viewer, project: str) -> ProjectView:
        """Read one project."""
        return project_view(store.project(project))

    @router.patch("/projects/{project}")
    def change_project(person: Editor, project: str, body: ProjectChange) -> ProjectView:
        """Rename a project, or change its settings."""
        return project_view(store.update(project, name=body.name, settings=body.settings))

    @router.delete("/projects/{project}", status_code=204)
    def delete_project(person: Owner, project: str) -> None:
        """Delete a project with its data, runs and models, its server and the requests that were captured."""
        delete(project)

    return router
