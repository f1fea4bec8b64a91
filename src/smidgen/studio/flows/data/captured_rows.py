"""Captured requests as a source of rows: choose whose, which job, model and time; see what they would bring; add them as a version.

Texts come as they are stored, so without the personal data that was taken out before. The answer is the newest correction by a person, else
the large model's. A held-out request becomes a test row: nothing learns from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.core.parts import Task
from smidgen.core.placeholders import UNFRAMED
from smidgen.data.splits import SplitSide
from smidgen.flows.jobs.discovery import FoundJob, find_job, find_jobs
from smidgen.flows.learn.learning_rows import LineRow
from smidgen.flows.learn.traffic_rows import open_traffic, rows_of_pairs
from smidgen.parts import registry
from smidgen.parts.recipe import make
from smidgen.store.traffic.records import TrafficPair
from smidgen.store.traffic.requests import Timestamp
from smidgen.store.traffic.store import TrafficStore
from smidgen.studio.flows.serving.live_traffic import captured
from smidgen.studio.store.data_rows import DataRow, DataVersion
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.text.near_duplicates import fold_text

GATEWAY = "gateway"
"""The source of what `smidgen serve --capture` stored on this machine."""
MOST_READ = 50_000
"""Most answered requests that are read, the newest ones."""
_MOST_MODELS = 20


@dataclass(frozen=True)
class CaptureSource:
    """A store of captured requests: `id` is `gateway`, or the project whose server captured them; `name` is that project's. `models` counts
    requests by the model that they named, the most frequent first."""

    id: str
    name: str
    requests: int
    first: Timestamp | None
    last: Timestamp | None
    models: Mapping[str, int]


@dataclass(frozen=True)
class CapturedChoice:
    """Which requests are meant: all of a source, of a recurring job, that named this model, and of the last `days`."""

    source: str
    job: str | None = None
    model: str | None = None
    days: int | None = None


@dataclass(frozen=True)
class TrafficRows:
    """The rows that captured requests bring.

    Attributes:
        rows: one for each text, with its newest answer.
        known: texts that the project's data holds already; they are left out.
        unusable: answers that were left out, by the reason.
    """

    rows: tuple[DataRow, ...]
    known: int
    unusable: Mapping[str, int]


def traffic_sources(store: StudioStore, project: str) -> list[CaptureSource]:
    """The stores with requests in them: the project's own first, then those of other projects, then the machine's."""
    store.project(project)
    names = {found.id: found.name for found in store.projects()}
    ids = [project, *(id for id in names if id != project), GATEWAY]
    found = []
    for id in ids:
        with _opened(id) as traffic:
            counts = traffic.totals() if traffic is not None else None
        if counts is not None and counts.requests:
            models = dict(list(counts.asked.items())[:_MOST_MODELS])
            found.append(CaptureSource(id, names.get(id, ""), counts.requests, counts.first, counts.last, models))
    return found


def traffic_jobs(store: StudioStore, project: str, source: str) -> list[FoundJob]:
    """The recurring jobs in a source that a model of this project's kind can do, the most frequent first. Takes seconds."""
    task = store.project(project).task
    _know(store, source)
    with _opened(source) as traffic:
        return [job for job in find_jobs(traffic, forecasts=False).jobs if job.task == task] if traffic is not None else []


def read_captured(store: StudioStore, project: str, choice: CapturedChoice, now: datetime | None = None) -> TrafficRows:
    """The rows that these requests would bring. Raises InputError for an unknown source or job, and for a job of another kind."""
    found = store.project(project)
    _know(store, choice.source)
    with _opened(choice.source) as traffic:
        if traffic is None:
            raise InputError("studio.nothing_was_captured_there", value=choice.source)
        job = find_job(traffic, choice.job) if choice.job else None
        if job is not None and job.task != found.task:
            raise InputError("studio.this_job_does_not_fit_project_task", value=choice.job, task=found.task)
        return _read(store, found, _pairs(traffic, choice, job, now or datetime.now(UTC)), job)


def add_captured(store: StudioStore, project: str, choice: CapturedChoice, author: str) -> DataVersion:
    """Add the rows of these requests as a version. Raises as `read_captured` does, and InputError where they bring no row."""
    found = read_captured(store, project, choice)
    if not found.rows:
        why = next(iter(found.unusable), "all of them are in the data already" if found.known else "no answer was stored")
        raise InputError("studio.these_requests_bring_no_new_row", value=why)
    details = {"traffic": choice.source, "job": choice.job, "model": choice.model, "days": choice.days}
    return store.rows(project).add(found.rows, author, "import", details)


def _know(store: StudioStore, source: str) -> None:
    if source != GATEWAY:
        store.project(source)


@contextmanager
def _opened(source: str) -> Iterator[TrafficStore | None]:
    with open_traffic() if source == GATEWAY else captured(source) as traffic:
        yield traffic


def _pairs(traffic: TrafficStore, choice: CapturedChoice, job: FoundJob | None, now: datetime) -> deque[TrafficPair]:
    since = now - timedelta(days=choice.days) if choice.days else None
    frame = job.frame if job is not None else UNFRAMED
    found = traffic.pairs(choice.model, None, since, None, job.template if job is not None else None)
    return deque((pair for pair in found if frame.holds(pair.input)), maxlen=MOST_READ)


def _read(store: StudioStore, project: Project, pairs: deque[TrafficPair], job: FoundJob | None) -> TrafficRows:
    task: Task = registry.find("tasks", project.task)
    key = job.template if job is not None else project.id
    taken = rows_of_pairs(((pair, ()) for pair in pairs), task, None, make({"task": project.task}, []).asked, key)
    newest: dict[tuple[str, str], DataRow] = {}
    for side, one in taken.rows:
        if one.row.output is not None:
            row = _row(side, one)
            newest.pop(_key(row), None)
            newest[_key(row)] = row  # of a text that came often, the newest answer
    here = {_key(row) for row in store.rows(project.id).each()} if newest else set()
    rows = tuple(row for key_, row in newest.items() if key_ not in here)
    return TrafficRows(rows, len(newest) - len(rows), dict(taken.unusable.most_common()))


def _row(side: SplitSide, one: LineRow) -> DataRow:
    text, second = (one.row.input, None) if isinstance(one.row.input, str) else one.row.input
    said = "a person" if one.source == "human" else one.model or "a large model"
    return DataRow(text, second, one.row.output, "train" if side is SplitSide.LEARNING else "test", f"traffic, answered by {said}")


def _key(row: DataRow) -> tuple[str, str]:
    return fold_text(row.input), fold_text(row.second or "")
