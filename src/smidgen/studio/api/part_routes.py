"""`/api/v1/parts/{room}` and the settings of builds: what there is to choose, with the JSON Schemas that forms are drawn from."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from smidgen.bases.starter import starters
from smidgen.studio.api.access import Viewer
from smidgen.studio.flows.recipes.able_students import able_students, check_build
from smidgen.studio.flows.recipes.build_settings import PartFacts, SettingSection, parts_of, sections_of
from smidgen.studio.store.projects import StudioStore

_BASE_FACTS = ("name", "title", "family", "licence", "megabytes", "automatic", "multilingual")


class ListedBase(BaseModel):
    """A starter base: pretrained weights that are fetched once."""

    name: str
    title: str
    family: str = Field(description="`encoder` reads texts, `decoder` writes them.")
    licence: str
    megabytes: int = Field(description="What a fetch transfers.")
    automatic: bool = Field(description="Whether a build takes it by itself.")
    multilingual: bool = Field(description="Whether it reads other languages than English.")
    here: bool = Field(description="Whether it is on this machine.")


class RecipeSettings(BaseModel):
    """Settings of a build, as a recipe has them: by section, then by name."""

    settings: dict[str, Any]


class SettingFault(BaseModel):
    """A setting that cannot be used."""

    place: str = Field(description="Section and setting, such as `gate.max_loss`; empty where it belongs to none.")
    message: str


def part_routes(store: StudioStore) -> APIRouter:
    """The routes of parts and settings."""
    router = APIRouter(prefix="/api/v1", tags=["parts"])

    @router.get("/parts/{room}")
    def list_parts(person: Viewer, room: str) -> list[PartFacts]:
        """List the parts of a room: `tasks`, `students`, `compress` or `engines`. A part that was added to smidgen is listed by itself."""
        return parts_of(room)

    @router.get("/bases")
    def list_bases(person: Viewer) -> list[ListedBase]:
        """List the starter bases, and which of them are on this machine. A run of the kind `fetch` fetches one."""
        return [ListedBase(**{name: getattr(one, name) for name in _BASE_FACTS}, here=one.here()) for one in starters().values()]

    @router.get("/projects/{project}/settings")
    def list_settings(person: Viewer, project: str, student: str | None = None) -> list[SettingSection]:
        """List the settings that a build of the project takes. `student`: the student whose training settings are meant."""
        found = store.project(project)
        return sections_of(found.task, student, [name for name, why in able_students(store, found).items() if not why])

    @router.post("/projects/{project}/settings/check")
    def check(person: Viewer, project: str, body: RecipeSettings) -> list[SettingFault]:
        """Check the settings of a build before it is started. An empty list: it may start."""
        found = check_build(store, store.project(project), body.settings)
        return [SettingFault(place=mistake.place, message=mistake.text) for mistake in found]

    return router
