"""The recipe for a build of a project of files: its own and its members', without what is empty, all checked to stay in its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from smidgen.core.errors import InputError, RecipeError
from smidgen.core.parts import Task
from smidgen.flows.recipe_files import files_kept, files_named
from smidgen.flows.table_columns import with_columns
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make, written
from smidgen.store.files import write
from smidgen.studio.flows.material import member_trees
from smidgen.studio.flows.material_state import LEAST_QUESTIONS, count_entries, is_empty
from smidgen.studio.flows.recipes.project_recipe import laid_over, model_name, presets_of, project_folder, recipe_tree, stray_files
from smidgen.studio.flows.table_columns import LEAST_KINDS, labels_in
from smidgen.studio.store.projects import Project

_DATA_FILES = ("train", "test", "unlabelled")
_NEEDED = {
    "documents": "studio.there_are_no_documents_to_learn_from",
    "tools": "studio.there_are_no_tools_to_learn_from",
    "orders": "studio.there_are_no_orders_to_learn_from",
    "repository": "studio.there_are_no_source_files_to_learn_from",
    "conversations": "studio.there_are_no_conversations_to_learn_from",
}
"""The error of a kind of file that is missing."""

Say = Callable[[str], None]


def recipe_of_files(project: Project, settings: Mapping[str, Any], say: Say = lambda _: None) -> Recipe:
    """The recipe of a build: the project's own with these settings over it.

    A file that is empty is not named, and a member without what it needs is left out; `say` is told so. Members' recipes are written anew
    beside their own, with the quality that the settings ask for.

    Raises InputError where nothing is left to learn from, RecipeError for files outside the project's folder.
    """
    source, top = f"the project {project.name}", project_folder(project.id)
    tree = laid_over({"name": model_name(project), **recipe_tree(project)}, settings)
    tree["task"] = project.task
    kept, missing = _filled(tree, project.task, top, say)
    if missing:
        raise InputError(_NEEDED.get(missing, "studio.file_to_learn_from_is_empty"), value=missing)
    members = _members(project, settings, say)
    own = kept.get(project.task)
    if isinstance(own, Mapping) and "members" in own:
        left = {role: file for role, file in own["members"].items() if role in members or not str(file).lower().endswith(".toml")}
        if not left and not members:
            raise InputError("studio.no_member_has_anything_to_learn_from", value=source)
        kept[project.task] = {**own, "members": {**left, **members}}
    recipe = make(kept, [], folder=top, source=source)
    _refuse_strays(recipe, kept, top, source)
    return recipe


def _members(project: Project, settings: Mapping[str, Any], say: Say) -> dict[str, str]:
    """The recipes of the members that can be built, by role, each written for this build beside its own."""
    found = {}
    for role, (file, tree) in member_trees(project).items():
        task, above = str(tree.get("task", "")), PurePosixPath(file).parent
        folder = project_folder(project.id) / above
        kept, missing = _filled(_asked(tree, task, settings), task, folder, say)
        if missing:
            say(f"the desk is built without {missing}: there are none yet")
            continue
        _refuse_strays(make(kept, [], folder=folder, source=file), kept, project_folder(project.id), file)
        name = f".{PurePosixPath(file).name}"
        write(folder / name, written(kept).encode("utf-8"))
        found[role] = (above / name).as_posix()
    return found


def _asked(tree: Mapping[str, Any], task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A member's recipe with the quality that a build's settings ask for. Its own choice of a student stays."""
    student = settings.get("student")
    quality = student.get("quality") if isinstance(student, Mapping) else None
    if task not in registry.names("tasks") or quality is None:
        return dict(tree)
    preset = presets_of(registry.find("tasks", task)).get(str(quality), {})
    return laid_over(preset, tree) if _names_student(tree) else laid_over(tree, {**preset, "student": {**preset.get("student", {})}})


def _names_student(tree: Mapping[str, Any]) -> bool:
    student = tree.get("student")
    return isinstance(student, Mapping) and "kind" in student


def _filled(tree: Mapping[str, Any], task: str, folder: Path, say: Say) -> tuple[dict[str, Any], str]:
    """A recipe without the files that are empty; and the kind that is missing and that it cannot do without, or nothing."""
    kept = with_columns(tree, task, folder)
    part: Task | None = registry.find("tasks", task) if task in registry.names("tasks") else None
    named, files = files_named(tree, task), files_kept(part) if part is not None else {}
    for kind, name in named.items():
        place = folder / name
        few = kind == "questions" and count_entries(kind, place) < LEAST_QUESTIONS
        alone = kind == "intents" and len(labels_in(place, str(kept["data"].get("label", "")))) < LEAST_KINDS
        if few and not is_empty(kind, place):
            say(f"fewer than {LEAST_QUESTIONS} questions: questions are made from the documents instead")
        if few or alone or is_empty(kind, place):
            section, _, setting = files[kind].partition(".")
            kept[section] = {key: value for key, value in kept[section].items() if key != setting}
            if section == "data":
                kept.pop("data")  # columns of a table that is not there
    first = next(iter(files), "")
    left = files_named(kept, task)
    return kept, first if first and first not in left else ""


def _refuse_strays(recipe: Recipe, tree: Mapping[str, Any], top: Path, source: str) -> None:
    """Raise RecipeError for files outside the project's folder: a build must not read the server's other files."""
    strays = stray_files(recipe)
    given = tree.get("data")
    data: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    for name in _DATA_FILES:
        value = data.get(name)
        if value is not None and not (recipe.folder / Path(str(value)).expanduser()).resolve().is_relative_to(top.resolve()):
            strays.append(f"data.{name}: must be a file of the project's own folder, not {str(value)!r}")
    if strays:
        raise RecipeError("studio.recipe_names_files_outside_this_project", value=source, mistakes=strays)
