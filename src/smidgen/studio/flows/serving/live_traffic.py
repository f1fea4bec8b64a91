"""Live traffic of a project's server: figures, each with the requests behind it, energy, and what the last drift test found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.bundles.open import folder_of, read_manifest
from smidgen.core.errors import SmidgenError
from smidgen.flows.status_report import read_account
from smidgen.store.traffic.requests import RequestFilter, RequestOrder, StoredRequest, TrafficFigures
from smidgen.store.traffic.store import TrafficStore, opened
from smidgen.studio.flows.serving.servers import served_folder, served_name, serving_folder, traffic_url
from smidgen.studio.store.projects import StudioStore
from smidgen.usage.energy import LARGE_MODEL_WH
from smidgen.watch import drift_record


@dataclass(frozen=True)
class LiveTraffic:
    """The figures of the last days.

    Attributes:
        figures: over the captured requests; None where none was captured yet.
        energy_wh: watt hours of the model's own answers, and whether they were measured; None where nothing was counted.
        energy_saved_wh: the same requests to a large model, without `energy_wh`.
        energy_large_model_wh: the published figure: watt hours of one request to a large model.
        drift: the last drift test, as it was written down; None without one.
    """

    days: int
    figures: TrafficFigures | None
    energy_wh: float | None
    energy_measured: bool
    energy_saved_wh: float | None
    energy_large_model_wh: float
    drift: Mapping[str, Any] | None


@contextmanager
def captured(project: str) -> Iterator[TrafficStore | None]:
    """Open the store of a project's captured requests; None where nothing was captured yet."""
    if not (serving_folder(project) / "traffic.db").is_file():
        yield None
        return
    with opened(traffic_url(project)) as store:
        yield store


def read_traffic(store: StudioStore, project: str, model: str, days: int, now: datetime | None = None) -> LiveTraffic:
    """The figures of the last `days` days, today included. `model`: what is served, for its energy and drift."""
    now = now or datetime.now(UTC)
    begin = (now - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    with captured(project) as traffic:
        figures = traffic.figures(begin, now) if traffic is not None else None
    try:
        folder = served_folder(store, project, model)
    except SmidgenError:  # what was served is gone; its requests are not
        folder = None
    energy = _energy(served_name(folder), days, now) if folder is not None else None
    return LiveTraffic(
        days,
        figures,
        energy[0] if energy else None,
        bool(energy and energy[1]),
        figures.local * LARGE_MODEL_WH - energy[0] if figures and energy else None,
        LARGE_MODEL_WH,
        _drift(folder) if folder is not None else None,
    )


def list_requests(project: str, where: RequestFilter, offset: int, limit: int, order: RequestOrder) -> tuple[int, list[StoredRequest]]:
    """How many captured requests a filter leaves, and some of them."""
    with captured(project) as traffic:
        return traffic.requests(where, offset, limit, order) if traffic is not None else (0, [])


def _energy(name: str, days: int, now: datetime) -> tuple[float, bool] | None:
    """Watt hours of the answers of the model of this name, and whether most of them were measured."""
    periods = read_account(days, now).get("periods", [])
    models = periods[-1]["models"] if periods else []
    found = next((one["energy"] for one in models if one["model"] == name), None)
    if found is None:
        return None
    return float(found["of_that_local_answers_wh"]), found["measured_wh"] > found["estimated_wh"]


def _drift(folder: Path) -> Mapping[str, Any] | None:
    try:
        found = drift_record.read(read_manifest(folder_of(folder)).id, served_name(folder))
    except (OSError, ValueError):
        return None
    if found.at is None:
        return None
    return {"at": found.at.timestamp(), "alarm": found.alarm, "moved": found.moved, "looks": found.looks}
