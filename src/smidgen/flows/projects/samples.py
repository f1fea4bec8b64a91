"""Projects that begin with an example: a recipe that comes with smidgen, and its data."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from pathlib import Path

from smidgen.core.errors import InputError, SmidgenError
from smidgen.flows.projects.data.imports import import_file
from smidgen.flows.projects.look import queue_look
from smidgen.flows.projects.models.built_models import BUILD
from smidgen.flows.projects.recipes.project_recipe import project_folder, save_recipe
from smidgen.flows.sample_recipes import SampleRecipe, sample_recipe
from smidgen.store.studio.data_rows import Part
from smidgen.store.studio.runs import RunStore
from smidgen.store.studio.store import Project, StudioStore

SAMPLE = "support"
"""The recipe of the sample project."""
_SETTING = "sample"
_PARTS: dict[str, Part] = {"train": "train", "test": "test"}


def create_from_sample(store: StudioStore, name: str, author: str, title: str | None = None) -> Project:
    """Make a project from an example: its rows, and its recipe with the files that it names. A first look at the rows is queued.

    Raises UnknownPart for an unknown name, InputError for one that is no table of inputs and outputs.
    """
    sample = sample_recipe(name)
    if not sample.is_table:
        todo = f"Build it in a terminal: smidgen init DIR --recipe {name}"
        raise InputError("the Studio cannot begin a project with this example yet", value=name, todo=todo)
    project = store.create(title or name.replace("-", " ").capitalize(), sample.tree["task"], {_SETTING: name})
    try:
        _fill(store, project, sample, author)
    except SmidgenError:
        store.delete(project.id)
        raise
    queue_look(store, project.id, author)
    return store.project(project.id)


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
