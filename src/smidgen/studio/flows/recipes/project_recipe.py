"""The recipe of a project: kept as the tree of a recipe file, checked whole, read and written as text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from smidgen.core.errors import InputError, RecipeError, SmidgenError, UnknownPart
from smidgen.core.parts import Task
from smidgen.core.settings import Settings, is_file
from smidgen.gateway.route_settings import RouteSettings
from smidgen.gateway.upstreams import checked_url
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make, parsed, written
from smidgen.store.files import home
from smidgen.studio.flows.recipes.canvas import SettingMistake, node_of
from smidgen.studio.store.projects import Project, StudioStore

MOST_TEXT = 1_000_000
"""Characters of a recipe's text."""
_STORED, _TEXT = "recipe", "recipe_text"
_SOURCE = "the project's recipe"


def project_folder(project: str) -> Path:
    """The folder of a project's own files, from which paths in its recipe start."""
    return home() / "studio" / "projects" / project


def recipe_tree(project: Project) -> dict[str, Any]:
    """The recipe of a project: the one it was given, else one that leaves everything at its default."""
    return dict(project.settings.get(_STORED) or {"name": model_name(project), "task": project.task})


def recipe_text(project: Project) -> str:
    """The recipe as TOML: as somebody wrote it, comments and all, as long as nothing else has changed it."""
    tree, text = recipe_tree(project), project.settings.get(_TEXT)
    return text if isinstance(text, str) and parsed(text, _SOURCE) == tree else written(tree)


def save_recipe(store: StudioStore, project: Project, tree: Mapping[str, Any], text: str | None = None) -> Project:
    """Give a project a recipe, and the text that it was written as. Raises RecipeError with every mistake."""
    found = recipe_mistakes(project, tree)
    if found:
        mistakes = [f"{mistake.place}: {mistake.text}" for mistake in found]
        raise RecipeError("studio.recipe_has_mistakes", value=_SOURCE, mistakes=mistakes)
    kept = text if text is not None and parsed(text, _SOURCE) == tree else None
    return store.update(project.id, settings={_STORED: dict(tree), _TEXT: kept})


def recipe_mistakes(project: Project, tree: Mapping[str, Any]) -> list[SettingMistake]:
    """Every mistake of a project's recipe, each with its place and the node that it stands at."""
    found = [*_unwritable(tree, "")]
    task = tree.get("task", project.task)
    if task != project.task:
        found.append(f"task: this project's task is {project.task!r}, not {task!r}; make another project for another task")
    found += _made(project, tree)
    split = [mistake.partition(": ") for mistake in found]
    return [SettingMistake(place, node_of(place, project.task), text) for place, _, text in split]


def _made(project: Project, tree: Mapping[str, Any]) -> list[str]:
    """The mistakes that show when the recipe is made, and in what it names."""
    try:
        recipe = make({**tree, "task": project.task}, folder=project_folder(project.id))
    except UnknownPart as error:
        if _kind(tree) is None:
            return [f"task: {error}"]
        student = {name: value for name, value in tree["student"].items() if name != "kind"}
        return [f"student.kind: {error}", *_made(project, {**tree, "student": student, "train": {}})]
    except RecipeError as error:
        return list(error.mistakes) or [f"task: {error}"]
    except SmidgenError as error:
        return [f"task: {error}"]
    return [*stray_files(recipe), *_wrong_addresses(recipe)]


def _wrong_addresses(recipe: Recipe) -> Iterator[str]:
    for url in recipe.route.fallback.urls if isinstance(recipe.route, RouteSettings) else ():
        try:
            checked_url(url)
        except InputError as error:
            yield f"route.fallback: {error}"


def check_settings(project: Project, given: Mapping[str, Any]) -> list[SettingMistake]:
    """Every mistake in the settings of a build, which go over the project's recipe; empty where it may start."""
    found = recipe_mistakes(project, laid_over(recipe_tree(project), given))
    return [replace(mistake, text=f"{mistake.text[:1].upper()}{mistake.text[1:].rstrip('.')}.") for mistake in found]


def stray_files(recipe: Recipe) -> list[str]:
    """List the settings that name files outside the recipe's folder. A project must not read the server's other files."""
    sections = {**recipe.sections, **({"route": recipe.route} if recipe.route is not None else {})}
    return [mistake for name, section in sections.items() for mistake in _strays(section, name, recipe.folder.resolve())]


def _strays(settings: Settings, place: str, folder: Path) -> Iterator[str]:
    for name, known in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from _strays(value, f"{place}.{name}", folder)
        elif is_file(known) and value:
            for one in value.values() if isinstance(value, Mapping) else [value]:
                if not (folder / Path(str(one)).expanduser()).resolve().is_relative_to(folder):
                    yield f"{place}.{name}: must be a file of the project's own folder, not {str(one)!r}"


def _unwritable(value: Any, place: str) -> Iterator[str]:
    """Values that TOML has and a recipe does not: dates, infinity, no number."""
    if isinstance(value, Mapping):
        for name, piece in value.items():
            yield from _unwritable(piece, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list):
        for piece in value:
            yield from _unwritable(piece, place)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{place}: must be a finite number, not {value}"
    elif value is not None and not isinstance(value, str | int | float):
        yield f"{place}: must be a text, a number or true or false, not {value!s}"


def asked_of(project: Project) -> Settings:
    """The task's own settings in a project's recipe, by which its answers are read. Their file paths are whole."""
    own = recipe_tree(project).get(project.task)
    sections = {project.task: own} if isinstance(own, Mapping) else {}
    return make({"task": project.task, **sections}, folder=project_folder(project.id), source=_SOURCE).asked


def laid_over(tree: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with further settings over its own, section by section."""
    merged = dict(tree)
    if "train" not in over and _kind(over) not in (None, _kind(tree) or _first_student(tree)):
        merged.pop("train", None)  # they are the settings of another student
    for name, value in over.items():
        own = merged.get(name)
        merged[name] = laid_over(own, value) if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return merged


def _kind(tree: Mapping[str, Any]) -> Any:
    """The student that a recipe asks for; None where it leaves the choice to the build."""
    student = tree.get("student")
    kind = student.get("kind") if isinstance(student, Mapping) else None
    return None if kind == "auto" else kind


def _first_student(tree: Mapping[str, Any]) -> str | None:
    """The student that training settings belong to where a recipe names none."""
    task = tree.get("task")
    return registry.find("tasks", task).students[0] if task in registry.names("tasks") else None


def model_name(project: Project) -> str:
    """A project's name in the letters of a model's name."""
    letters = "".join(letter if letter.isalnum() else "-" for letter in project.name.lower())
    return "-".join(part for part in letters.split("-") if part)[:60] or "model"


_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"student": {"quality": "fast"}},
    "balanced": {"student": {"quality": "balanced"}},
    "best": {"student": {"quality": "best"}},
    "small": {"student": {"quality": "balanced", "max_size_mb": 25.0}},
    "strict": {"gate": {"max_loss": 0.005, "must_beat_baseline": True}},
    "relay": {
        "route": {
            "fallback": ["https://api.openai.com/v1"],
            "fallback_model": ["gpt-6-luna"],
            "quality": 0.95,
            "privacy": "mask",
            "capture": "answers",
        }
    },
}
_TAUGHT = {"data": {"teacher": {"source": "https://api.openai.com/v1", "model": "gpt-6-luna", "uses": ["label"], "budget_usd": 5.0}}}


def presets_of(task: Task) -> dict[str, Mapping[str, Any]]:
    """The presets of a task, by name."""
    fast = laid_over(_PRESETS["fast"], task.quick)
    usual = {**_TAUGHT["data"]["teacher"], "uses": []} if task.teacher_sources else _TAUGHT["data"]["teacher"]
    return {**_PRESETS, "fast": fast, **({"taught": {"data": {"teacher": usual}}} if task.teaching else {})}
