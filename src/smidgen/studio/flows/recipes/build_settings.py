"""The settings that a build takes, as JSON Schemas for forms. Each is drawn from the part that owns it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.core.parts import Task
from smidgen.core.settings import Settings, section_of
from smidgen.parts import registry
from smidgen.parts.recipe import ROUTE, owners_of

ROOMS = ("tasks", "students", "compress", "engines")
"""Rooms whose parts are told."""
_FROM_THE_PROJECT = {"data": ("train", "test", "input", "label")}
"""Settings that the project itself gives, by section."""

_KINDS = "auto: several are tried, and one is chosen by the quality that you want and by your limits."
_AS_IT_COMES = " prompted: nothing is learnt, and each text takes seconds."


@dataclass(frozen=True)
class PartFacts:
    """A part of a room. `settings`: their JSON Schema; None for a part without."""

    name: str
    summary: str
    settings: Mapping[str, Any] | None


@dataclass(frozen=True)
class SettingSection:
    """A section of a recipe: what it is for, and the JSON Schema of its settings."""

    name: str
    about: str
    settings: Mapping[str, Any]


def parts_of(room: str) -> list[PartFacts]:
    """The parts of a room, by name. Raises InputError for an unknown room."""
    if room not in ROOMS:
        raise InputError("studio.there_is_no_such_kind_of_part", value=room, rooms=", ".join(ROOMS))
    found = []
    for name in registry.names(room):
        part = registry.find(room, name)
        settings = getattr(part, "settings", None)
        schema = _schema(settings) if isinstance(settings, type) and issubclass(settings, Settings) else None
        found.append(PartFacts(name, getattr(part, "summary", ""), schema))
    return found


def sections_of(task: str, student: str | None = None, students: Sequence[str] = ()) -> list[SettingSection]:
    """The sections of a task's recipes that a build of a project takes, the student's training by the student's own settings.

    `students`: those to choose from; empty for all that may learn the task.
    """
    found = []
    for name, owner in owners_of(task, student).items():
        schemas = setting_schemas(name, owner, task)
        if name == "student" and students:
            schemas["kind"] = {**schemas["kind"], "enum": ["auto", *students]}
        properties = {key: one for key, one in schemas.items() if key not in _FROM_THE_PROJECT.get(name, ())}
        if name != ROUTE and properties:
            found.append(SettingSection(name, purpose_of(owner), {"type": "object", "properties": properties}))
    return found


def setting_schemas(section: str, owner: type[Settings], task: str) -> dict[str, Any]:
    """The JSON Schemas of a section's settings, by their names in recipes. Choices that depend on which parts there are, are filled in."""
    classes = [inner for known in owner.model_fields.values() if (inner := section_of(known)) is not None] or [owner]
    found: dict[str, Any] = {}
    for owning in classes:
        found |= owning.model_json_schema(by_alias=True).get("properties", {})
    if section == "student":
        kinds = ["auto", *students_of(registry.find("tasks", task))]
        found["kind"] = {**found["kind"], "enum": kinds, "description": _KINDS + (_AS_IT_COMES if "prompted" in kinds else "")}
        among = [name for name in kinds[1:] if name != registry.find("tasks", task).baseline]
        found["among"] = {**found["among"], "items": {"type": "string", "enum": among}}
    if section == "compress":
        found["method"] = {**found["method"], "enum": ["auto", "none", *registry.names("compress")]}
    return found


def purpose_of(owner: type[Settings]) -> str:
    """The purpose of a section: the first paragraph of its class."""
    return " ".join((owner.__doc__ or "").split("\n\n")[0].split())


def students_of(task: Task) -> list[str]:
    """The students that may be asked for: those of the task, and others that learn from the same rows as one of them.

    Outputs as a task has them mean something else in another task: whatever student one has named for them is not offered for others.
    """
    own = dict.fromkeys(_named(task))
    learns = {registry.find("students", name).learns for name in own}
    others = {name for each in registry.names("tasks") if each != task.name for name in _named(registry.find("tasks", each))}
    more = ((name, registry.find("students", name).learns) for name in registry.names("students") if name not in own)
    return [*own, *(name for name, from_rows in more if from_rows in learns and not (from_rows == "outputs" and name in others))]


def _named(task: Task) -> Iterator[str]:
    yield from (name for name in (*task.students, task.baseline) if name)


def _schema(owner: type[Settings]) -> dict[str, Any]:
    schema = owner.model_json_schema(by_alias=True)
    return {"properties": {}, **schema}
