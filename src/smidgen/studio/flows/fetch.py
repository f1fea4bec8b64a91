"""The run `fetch`: fetch a starter base once, then look at the data again with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.bases.lookup import pull
from smidgen.studio.flows.look import KIND as LOOK
from smidgen.studio.flows.run_process import QuickRun, RunProgress
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore


def run_fetch(store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Fetch the starter that `request` names as `base`. The newest version of the data is looked at once more."""
    base = pull(str(run.request.get("base", "")), progress)
    version = store.project(run.project).version
    if version:
        RunStore(store.database).enqueue(run.project, LOOK, {"version": version}, run.author)
    return {"base": base.name, "licence": base.licence}


part = QuickRun(run_fetch)
