"""The settings that a build takes, as JSON Schemas for forms, and the check of given ones. Each is drawn from the part that owns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.core.errors import InputError, RecipeError, UnknownPart
from smidgen.core.settings import Settings
from smidgen.parts import registry
from smidgen.parts.recipe import ROUTE, make, owners_of
from smidgen.store.studio.store import Project

ROOMS = ("tasks", "students", "compress", "engines")
"""Rooms whose parts are told."""
_FROM_THE_PROJECT = {"data": ("train", "test", "input", "label")}
"""Settings that the project itself gives, by section."""


@dataclass(frozen=True)
class PartFacts:
    """A part of a room. `schema`: the JSON Schema of its settings; None for a part without."""

    name: str
    summary: str
    schema: Mapping[str, Any] | None


@dataclass(frozen=True)
class SettingSection:
    """A section of a recipe: what it is for, and the JSON Schema of its settings."""

    name: str
    about: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class SettingMistake:
    """A setting that cannot be used. `place`: section and setting, `gate.max_loss`; empty where it belongs to none."""

    place: str
    message: str


def parts_of(room: str) -> list[PartFacts]:
    """The parts of a room, by name. Raises InputError for an unknown room."""
    if room not in ROOMS:
        raise InputError("there is no such room of parts", value=room, todo=f"Choose one of: {', '.join(ROOMS)}.")
    found = []
    for name in registry.names(room):
        part = registry.find(room, name)
        settings = getattr(part, "settings", None)
        schema = _schema(settings) if isinstance(settings, type) and issubclass(settings, Settings) else None
        found.append(PartFacts(name, getattr(part, "summary", ""), schema))
    return found


def sections_of(task: str, student: str | None = None) -> list[SettingSection]:
    """The sections of a task's recipes that a build of a project takes, the student's training by the student's own settings."""
    choices = {("student", "kind"): ["auto", *_students(task)], ("compress", "method"): ["auto", "none", *registry.names("compress")]}
    found = []
    for name, owner in owners_of(task, student).items():
        if name == ROUTE:
            continue
        schema = _schema(owner)
        for (section, key), values in choices.items():
            if section == name:
                schema["properties"][key]["enum"] = values
        schema["properties"] = {key: value for key, value in schema["properties"].items() if key not in _FROM_THE_PROJECT.get(name, ())}
        if schema["properties"]:
            found.append(SettingSection(name, " ".join((owner.__doc__ or "").split("\n\n")[0].split()), schema))
    return found


def _students(task: str) -> list[str]:
    """The students that may be asked for: those of the task, and others that learn from the same rows as one of them."""
    part = registry.find("tasks", task)
    own = dict.fromkeys([*part.students, part.baseline])
    learns = {registry.find("students", name).learns for name in own}
    return [*own, *(name for name in registry.names("students") if name not in own and registry.find("students", name).learns in learns)]


def check_settings(project: Project, given: Mapping[str, Any]) -> list[SettingMistake]:
    """Every mistake in the settings of a build; empty where it may start."""
    data = {"train": "rows", "input": "input", "label": "output"}
    try:
        make({**given, "task": project.task, "data": {**_section(given, "data"), **data}}, [])
    except RecipeError as error:
        if not error.mistakes:
            return [SettingMistake("", str(error))]
        return [_mistake(line) for line in error.mistakes]
    except UnknownPart as error:
        return [SettingMistake("student.kind", str(error))]
    return []


def _section(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = given.get(name)
    return found if isinstance(found, Mapping) else {}


def _mistake(line: str) -> SettingMistake:
    place, _, message = line.partition(": ")
    return SettingMistake(place, f"{message[:1].upper()}{message[1:]}.")


def _schema(owner: type[Settings]) -> dict[str, Any]:
    schema = owner.model_json_schema(by_alias=True)
    return {"properties": {}, **schema}
