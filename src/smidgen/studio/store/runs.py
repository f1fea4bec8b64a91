"""Runs: work in processes of their own, its queue, and what it tells while it goes on."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

import sqlalchemy as sql
from pydantic import Field
from pydantic.dataclasses import dataclass

from smidgen.store.database import Database
from smidgen.studio.store.tables import EVENTS, RUNS, StudioError, StudioMissing

RunState = Literal["queued", "running", "stopping", "done", "failed", "stopped"]
UNFINISHED: tuple[RunState, ...] = ("queued", "running", "stopping")
_MOST_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of work. Times are in seconds since 1970.

    Attributes:
        kind: what it does: "build", "answer_file", ...
        request: what it was asked for.
        result: what came out, once it is done.
        error: `message` and `todo`, once it has failed.
        process: the operating system's number of its process; 0 before it starts.
        attempts: how often it was started: more than once where its process died.
        ahead: in lists, how many runs of all projects go before it; None unless it waits.
        number: in lists, its place among the project's finished runs of its kind; None before its end.
    """

    id: str
    project: str
    kind: str
    state: RunState
    author: str
    request: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    queued: float
    started: float | None
    ended: float | None
    process: Annotated[int, Field(exclude=True)]
    attempts: Annotated[int, Field(exclude=True)]
    ahead: int | None = None
    number: int | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in UNFINISHED


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that a run told of itself. Numbers count from 1 within a run."""

    number: int
    time: float
    kind: str
    body: Mapping[str, Any]


def new_run_id() -> str:
    """An id that no run has."""
    return secrets.token_hex(6)


class RunStore:
    """The runs of all projects. Each method raises StudioError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, project: str, kind: str, request: Mapping[str, Any], author: str) -> Run:
        """Add a run to the end of the queue."""
        id = new_run_id()
        values = {"id": id, "project": project, "kind": kind, "state": "queued", "author": author, "request": request}
        with self._database.writing() as connection:
            connection.execute(sql.insert(RUNS).values(**values, queued=time.time(), process="0", attempts=0))
        return self.get(id)

    def add_done(self, id: str, project: str, kind: str, request: Mapping[str, Any], author: str, result: Mapping[str, Any]) -> Run:
        """Add a run whose work was done elsewhere. Nothing waits for it, and nothing starts it."""
        now = time.time()
        values = {"id": id, "project": project, "kind": kind, "state": "done", "author": author, "process": "0", "attempts": 0}
        told = {"request": request, "result": result, "queued": now, "started": now, "ended": now}
        with self._database.writing() as connection:
            connection.execute(sql.insert(RUNS).values(**values, **told))
        return self.get(id)

    def get(self, id: str) -> Run:
        """One run."""
        with self._database.reading() as connection:
            row = connection.execute(sql.select(RUNS).where(RUNS.c.id == id)).one_or_none()
        if row is None:
            raise StudioMissing("studio.there_is_no_such_run", value=id)
        return _run(row)

    def of_project(self, project: str, limit: int = 200) -> list[Run]:
        """The runs of a project, the newest first."""
        chosen = sql.select(RUNS).where(RUNS.c.project == project).order_by(RUNS.c.queued.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_run(row) for row in connection.execute(chosen)]

    def numbers(self, project: str) -> dict[str, int]:
        """The finished runs of a project, each with its number among those of its kind: the first to end is 1."""
        chosen = sql.select(RUNS.c.id, RUNS.c.kind).where(RUNS.c.project == project, RUNS.c.state == "done").order_by(RUNS.c.ended)
        counted: Counter[str] = Counter()
        found = {}
        with self._database.reading() as connection:
            for id, kind in connection.execute(chosen):
                counted[kind] += 1
                found[id] = counted[kind]
        return found

    def unfinished(self) -> list[Run]:
        """Runs that wait or go on, the oldest first."""
        chosen = sql.select(RUNS).where(RUNS.c.state.in_(UNFINISHED)).order_by(RUNS.c.queued)
        with self._database.reading() as connection:
            return [_run(row) for row in connection.execute(chosen)]

    def start(self, id: str, process: int) -> bool:
        """Mark a queued run as running; False where it is not queued any more."""
        values = {"state": "running", "process": str(process), "started": time.time(), "attempts": RUNS.c.attempts + 1}
        return self._move(id, ("queued",), values)

    def requeue(self, id: str) -> bool:
        """Put a run whose process died back into the queue, at its old place."""
        return self._move(id, ("running",), {"state": "queued", "process": "0"})

    def ask_to_stop(self, id: str) -> Run:
        """Stop a waiting run at once, and ask a running one to stop. A finished run stays as it is."""
        if not self._move(id, ("queued",), {"state": "stopped", "ended": time.time()}):
            self._move(id, ("running",), {"state": "stopping"})
        return self.get(id)

    def resume(self, id: str) -> Run:
        """Queue a stopped or failed run again. What it had finished is not done anew."""
        values = {"state": "queued", "error": None, "ended": None, "queued": time.time()}
        if not self._move(id, ("stopped", "failed"), values):
            raise StudioError("studio.run_cannot_be_resumed", value=self.get(id).state)
        return self.get(id)

    def finish(
        self,
        id: str,
        state: Literal["done", "failed", "stopped"],
        *,
        result: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down how a run ended."""
        values = {"state": state, "ended": time.time(), "process": "0", "result": result, "error": error}
        self._move(id, ("running", "stopping"), values)

    def is_stopping(self, id: str) -> bool:
        """Whether somebody asked a run to stop, or it is gone altogether."""
        with self._database.reading() as connection:
            return connection.execute(sql.select(RUNS.c.state).where(RUNS.c.id == id)).scalar() in (None, "stopping", "stopped")

    def tell(self, id: str, kind: str, body: Mapping[str, Any]) -> None:
        """Add an event to a run."""
        last = sql.select(sql.func.coalesce(sql.func.max(EVENTS.c.number), 0)).where(EVENTS.c.run == id)
        with self._database.writing() as connection:
            number = int(connection.execute(last).scalar_one()) + 1
            connection.execute(sql.insert(EVENTS).values(run=id, number=number, time=time.time(), kind=kind, body=body))

    def events(self, id: str, after: int = 0) -> list[RunEvent]:
        """The next events of a run after the one of this number, at most a thousand."""
        columns = [EVENTS.c[field.name] for field in fields(RunEvent)]
        chosen = sql.select(*columns).where(EVENTS.c.run == id, EVENTS.c.number > after).order_by(EVENTS.c.number).limit(_MOST_EVENTS)
        with self._database.reading() as connection:
            return [RunEvent(**row._asdict()) for row in connection.execute(chosen)]

    def _move(self, id: str, states: tuple[str, ...], values: Mapping[str, Any]) -> bool:
        with self._database.writing() as connection:
            moved = connection.execute(sql.update(RUNS).where(RUNS.c.id == id, RUNS.c.state.in_(states)).values(dict(values)))
            return moved.rowcount > 0


def _run(row: Any) -> Run:
    return Run(**{**row._asdict(), "request": row.request or {}, "process": int(row.process)})
