"""A project of the Studio whose model needs no training: the bundle of known answers, as if a build had made it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.certified_bundle import make, pairs

from smidgen.studio.flows.run_process import RunProgress, run_folder
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore


def project_with_model(store: StudioStore, scratch: Path, recipe: str = "") -> tuple[str, str]:
    """Make the project and its finished build; returns their ids. The bundle's name is `support`."""
    project = store.create("Support", "classify").id
    rows = [DataRow(text, output=label, source="first.csv") for text, label in pairs(200, 1)]
    version = store.rows(project).add(rows, "ann", "import", {}).number
    runs = RunStore(store.database)
    run = runs.enqueue(project, "build", {}, "ann").id
    runs.start(run, os.getpid())
    folder = run_folder(run)
    folder.mkdir(parents=True)
    make(scratch, recipe=recipe).rename(folder / "model")
    runs.finish(run, "done", result={"model": str(folder / "model"), "version": version})
    return project, run


def do(store: StudioStore, project: str, kind: Callable[..., object], name: str, request: dict[str, object]) -> Run:
    """Do a run within this process; returns it as it ended."""
    runs = RunStore(store.database)
    run = runs.enqueue(project, name, request, "ann")
    runs.start(run.id, os.getpid())
    result = kind(store, runs.get(run.id), RunProgress(runs, run.id))
    runs.finish(run.id, "done", result=result)  # type: ignore[arg-type]
    return runs.get(run.id)
