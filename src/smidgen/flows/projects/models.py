"""The models of a project: the bundles that its finished builds made. A model is named by its build's run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smidgen.core.errors import InputError
from smidgen.flows.projects.run_process import run_folder
from smidgen.store.studio.runs import Run, RunStore
from smidgen.store.studio.store import StudioStore

BUILD = "build"
"""The kind of run that makes a model."""


def models_of(store: StudioStore, project: str) -> Sequence[Run]:
    """The builds that made a model, the newest first."""
    return [run for run in RunStore(store.database).of_project(project) if run.kind == BUILD and run.state == "done"]


def model_folder(store: StudioStore, project: str, model: str) -> Path:
    """The bundle's folder. Raises InputError if the project has no such model."""
    run = RunStore(store.database).get(model)
    if run.project != project or run.kind != BUILD or run.state != "done":
        raise InputError("the project has no such model", value=model, todo="Choose one of its finished builds.")
    return run_folder(model) / "model"
