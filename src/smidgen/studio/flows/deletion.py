"""Delete a project with everything that this machine keeps of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time

from smidgen.search.documents.folder import forget_reading
from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.flows.run_process import is_alive, run_folder
from smidgen.studio.flows.serving.servers import ModelServers
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_END_SECONDS = 5.0


def delete_project(store: StudioStore, project: str, servers: ModelServers) -> None:
    """End a project's server and runs, and delete its rows, versions, models, files and captured requests."""
    found = store.project(project)
    servers.forget(found.id)
    runs = RunStore(store.database)
    for run in runs.of_project(found.id):
        if not run.finished:
            runs.ask_to_stop(run.id)
            _end(run)
        shutil.rmtree(run_folder(run.id), ignore_errors=True)
    forget_reading(project_folder(found.id))
    shutil.rmtree(project_folder(found.id), ignore_errors=True)
    store.delete(found.id)


def _end(run: Run) -> None:
    """End the process of a run, if it has one: it holds the run's lock as long as it lives."""
    end = time.monotonic() + _END_SECONDS
    while is_alive(run.id) and time.monotonic() < end:
        if run.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(run.process, _KILL)
        time.sleep(0.05)
