"""A project with what its pages depend on."""

from __future__ import annotations

from dataclasses import fields

from pydantic.dataclasses import dataclass

from smidgen.flows.recipe_files import MaterialKind
from smidgen.parts import registry
from smidgen.studio.flows.material import material_kinds
from smidgen.studio.store.projects import Project


@dataclass(frozen=True, slots=True)
class ProjectOverview(Project):
    """A project.

    Attributes:
        version: the newest version of its data; 0 before the first import.
        kinds: the kinds of files that it consists of; empty for a project of rows.
        converses: whether its model talks with customers: it has channels and conversations.
    """

    kinds: list[MaterialKind]
    converses: bool


def project_overview(project: Project) -> ProjectOverview:
    """Read what goes with a project."""
    own = {field.name: getattr(project, field.name) for field in fields(Project)}
    known = project.task in registry.names("tasks")
    converses = known and registry.find("tasks", project.task).serving is not None
    return ProjectOverview(**own, kinds=material_kinds(project), converses=converses)
