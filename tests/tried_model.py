"""A project with a model whose answer depends on known words, made in about a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.made_once import made_once

from smidgen.flows.build.pipeline import build
from smidgen.studio.flows.build import recipe_of, tables_of
from smidgen.studio.flows.run_process import run_folder
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore

LINEAR = {"student": {"kind": "linear", "baseline": "none"}}
SUBJECTS = {
    "refund": ["money", "refund", "charge"],
    "delivery": ["parcel", "courier", "shipment"],
    "account": ["password", "login", "profile"],
}
_THINGS = ["shoes", "lamp", "tent", "phone", "coat", "bike", "desk", "kettle", "camera", "guitar", "sofa", "watch"]
_VERBS = ["lost", "late", "wrong", "missing"]


def ticket_rows() -> list[DataRow]:
    """Tickets whose subject alone tells the team."""
    return [
        DataRow(f"the {word} for my {thing} is {verb}", output=label)
        for label, words in SUBJECTS.items()
        for word in words
        for thing in _THINGS
        for verb in _VERBS
    ]


def built_once(factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that sorts tickets."""

    def make(folder: Path) -> None:
        store = StudioStore(f"sqlite:///{folder}/studio.db")
        try:
            project = store.project(store.create("Tickets", "classify").id)
            store.rows(project.id).add(ticket_rows(), "ann", "import", {})
            given = tables_of(store, project, 1)
            build(recipe_of(project, LINEAR, given), folder / "model", given=given, listed=False, scratch=folder / "scratch")
        finally:
            store.close()

    return made_once(factory, "studio-tickets", make) / "model"


def with_model(store: StudioStore, bundle: Path) -> tuple[str, str]:
    """A project with these tickets and the finished build of the bundle; returns the ids of both."""
    project = store.create("Tickets", "classify").id
    store.rows(project).add(ticket_rows(), "ann", "import", {})
    return project, add_model(store, project, bundle)


def add_model(store: StudioStore, project: str, bundle: Path) -> str:
    """Add a copy of a bundle to a project as a finished build; returns its id."""
    runs = RunStore(store.database)
    run = runs.enqueue(project, "build", {}, "ann").id
    shutil.copytree(bundle, run_folder(run) / "model")
    runs.start(run, 0)
    runs.finish(run, "done", result={"model": str(run_folder(run) / "model"), "version": 1})
    return run
