"""The run `drift`: test whether the requests of a project's server are still like the examples that its model was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.core.errors import InputError
from smidgen.flows.drift import DriftSettings
from smidgen.flows.drift.check import look_for_drift
from smidgen.store.traffic.tables import use_store
from smidgen.studio.flows.run_process import RunProgress
from smidgen.studio.flows.serving.servers import served_folder, traffic_url
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run


def run_drift(store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Test the captured requests once. What `request` holds: `model`, a build's id or `line`."""
    use_store(traffic_url(run.project))
    folder = served_folder(store, run.project, str(run.request.get("model") or ""))
    if folder is None:
        raise InputError("studio.no_model_is_chosen", value="nothing")
    return look_for_drift(folder, DriftSettings(), progress).json()


part = run_drift
