"""Projects that begin with an example: a recipe that comes with smidgen, and its data."""

from __future__ import annotations

import importlib.resources
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from smidgen.core.errors import SmidgenError
from smidgen.flows.sample_recipes import SampleRecipe, sample_recipe
from smidgen.machine.time_zone import local_time_zone
from smidgen.parts import registry
from smidgen.parts.recipe import parsed
from smidgen.studio.flows.data.imports import import_file
from smidgen.studio.flows.look import queue_look
from smidgen.studio.flows.material import material_kinds, material_path, write_file
from smidgen.studio.flows.models.built_models import BUILD
from smidgen.studio.flows.recipes.project_recipe import model_name, project_folder, save_recipe
from smidgen.studio.store.data_rows import Part
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.studio.store.runs import RunStore

SAMPLE = "support"
"""The recipe of the sample project."""
_SETTING = "sample"
_RECIPE = "recipe.toml"
"""The recipe among the files of a starter."""
_UTC = b'timezone = "UTC"'
_PARTS: dict[str, Part] = {"train": "train", "test": "test"}


def create_from_sample(store: StudioStore, name: str, author: str, title: str | None = None) -> Project:
    """Make a project from an example: its rows, or its files, and its recipe. A first look at rows is queued.

    Raises UnknownPart for an unknown name.
    """
    sample = sample_recipe(name)
    project = store.create(title or name.replace("-", " ").capitalize(), sample.tree["task"], {_SETTING: name})
    try:
        if sample.is_table:
            _fill(store, project, sample, author)
        else:
            project = _give(store, project, sample.tree, sample.text, sample.every_file())
    except SmidgenError:
        shutil.rmtree(project_folder(project.id), ignore_errors=True)
        store.delete(project.id)
        raise
    if sample.is_table:
        queue_look(store, project.id, author)
    return store.project(project.id)


def begin_project(store: StudioStore, name: str, task: str) -> Project:
    """Make an empty project for a task. One of files begins with those of its task's starter, in this machine's time zone.

    Raises UnknownPart for an unknown task.
    """
    registry.find("tasks", task)
    project = store.create(name, task)
    starter = importlib.resources.files("smidgen") / "samples" / "starters" / task
    if not starter.is_dir():
        return project
    text = (starter / _RECIPE).read_text(encoding="utf-8")
    content = {file.name: file.read_bytes() for file in starter.iterdir() if file.is_file() and file.name != _RECIPE}
    if (zone := local_time_zone()) is not None:
        content = {file: held.replace(_UTC, f'timezone = "{zone}"'.encode()) for file, held in content.items()}
    return _give(store, project, {"name": model_name(project), **parsed(text, _RECIPE)}, None, content)


def _give(store: StudioStore, project: Project, tree: Mapping[str, Any], text: str | None, content: Mapping[str, bytes]) -> Project:
    """Give a project that consists of files these files, and its recipe."""
    project_folder(project.id).mkdir(parents=True, exist_ok=True)
    for name, held in content.items():
        write_file(project, name, held)
    saved = save_recipe(store, project, tree, text)
    if "documents" in material_kinds(saved):
        material_path(saved, "documents").mkdir(parents=True, exist_ok=True)
    return saved


def _fill(store: StudioStore, project: Project, sample: SampleRecipe, author: str) -> None:
    folder = project_folder(project.id)
    folder.mkdir(parents=True, exist_ok=True)
    for file in sample.task_files.values():
        (folder / file).write_text(sample.read(file), encoding="utf-8", newline="\n")
    saved = save_recipe(store, project, sample.tree, sample.text)
    data = sample.tree["data"]
    settings = {key: data[key] for key in ("input", "label")}
    for key, part in _PARTS.items():
        if key in sample.data_files:
            with importlib.resources.as_file(sample.folder / sample.data_files[key]) as place:
                import_file(store, saved, Path(place), place.name, settings, author, part)


def open_sample(store: StudioStore, author: str = "owner", title: str | None = None) -> Project:
    """The sample project: the one that is there, else a new one. Where it has no model, and none is being built, its build is queued."""
    project = next(_samples(store), None) or create_from_sample(store, SAMPLE, author, title)
    runs = RunStore(store.database)
    if not any(run.kind == BUILD and (run.state == "done" or not run.finished) for run in runs.of_project(project.id)):
        runs.enqueue(project.id, BUILD, {}, author)
    return project


def _samples(store: StudioStore) -> Iterator[Project]:
    return (project for project in store.projects() if project.settings.get(_SETTING) == SAMPLE and project.version > 0)
