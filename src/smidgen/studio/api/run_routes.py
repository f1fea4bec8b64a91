"""`/api/v1/projects/{project}/runs` and `/api/v1/runs/{run}`: start work, follow it, stop it, resume it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from smidgen.core.errors import RequestError
from smidgen.parts import registry
from smidgen.studio.api.access import Builder, Permission, Viewer, not_allowed
from smidgen.studio.flows.supervisor import Supervisor
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunState, RunStore

_POLL_SECONDS = 0.4
_ALIVE_SECONDS = 15.0


class RunView(BaseModel):
    """A piece of work in a process of its own. Times are in seconds since 1970."""

    id: str
    project: str
    kind: str
    state: RunState
    author: str
    request: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    queued: float
    started: float | None
    ended: float | None
    ahead: int | None = Field(None, description="How many runs of all projects go before it; null unless it waits.")
    number: int | None = Field(None, description="In lists, its place among the project's finished runs of its kind; null before its end.")


class NewRun(BaseModel):
    """A run to start."""

    kind: str = Field(min_length=1, max_length=50)
    request: dict[str, Any] = Field(default_factory=dict)


def _view(run: Run, ahead: int | None = None, number: int | None = None) -> RunView:
    plain = {name: getattr(run, name) for name in ("id", "project", "kind", "state", "author", "queued", "started", "ended")}
    return RunView(**plain, request=dict(run.request), result=_dict(run.result), error=_dict(run.error), ahead=ahead, number=number)


def _dict(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)


def run_routes(store: StudioStore, supervisor: Supervisor) -> APIRouter:
    """The routes of runs."""
    router = APIRouter(prefix="/api/v1", tags=["runs"])
    runs = RunStore(store.database)

    @router.get("/projects/{project}/runs")
    def list_runs(person: Viewer, project: str) -> list[RunView]:
        """List the runs of a project, the newest first."""
        ahead = {run.id: place for place, run in enumerate(runs.unfinished()) if run.state == "queued"}
        numbers = runs.numbers(project)
        return [_view(run, ahead.get(run.id), numbers.get(run.id)) for run in runs.of_project(project)]

    @router.post("/projects/{project}/runs", status_code=201)
    def start_run(person: Builder, project: str, body: NewRun) -> RunView:
        """Queue a run. It starts when the runs before it have ended."""
        kinds = registry.names("studio.flows")
        if body.kind not in kinds:
            raise RequestError("studio.there_is_no_such_kind_of_run", value=body.kind, kinds=", ".join(kinds), param="kind")
        needed: Permission = getattr(registry.find("studio.flows", body.kind), "permission", "build")
        if not person.may(needed):
            raise not_allowed(person, needed)
        run = runs.enqueue(store.project(project).id, body.kind, body.request, person.name)
        supervisor.wake()
        return _view(run)

    @router.get("/runs/{run}")
    def read_run(person: Viewer, run: str) -> RunView:
        """Read one run."""
        return _view(runs.get(run))

    @router.post("/runs/{run}/stop")
    def stop_run(person: Builder, run: str) -> RunView:
        """Stop a run. What it has finished is kept for when it is resumed."""
        stopped = runs.ask_to_stop(run)
        supervisor.wake()
        return _view(stopped)

    @router.post("/runs/{run}/resume")
    def resume_run(person: Builder, run: str) -> RunView:
        """Queue a stopped or failed run again."""
        resumed = runs.resume(run)
        supervisor.wake()
        return _view(resumed)

    @router.get("/runs/{run}/events", response_class=StreamingResponse)
    async def follow_run(person: Viewer, request: Request, run: str, after: int = 0) -> StreamingResponse:
        """Follow a run as server-sent events: all events so far, then each new one, then `end` with the run itself.

        A client that comes again sends `Last-Event-ID`, or `after`, and gets what came since.
        """
        runs.get(run)
        last = request.headers.get("last-event-id", "")
        return StreamingResponse(_events(runs, request, run, int(last) if last.isdecimal() else after), media_type="text/event-stream",
                                 headers={"Cache-Control": "no-store"})  # fmt: skip

    return router


async def _events(runs: RunStore, request: Request, run: str, after: int) -> AsyncIterator[str]:
    quiet = 0.0
    while not await request.is_disconnected():
        state = await run_in_threadpool(runs.get, run)  # read before the events: the last ones are told before the end
        events = await run_in_threadpool(runs.events, run, after)
        for event in events:
            after, quiet = event.number, 0.0
            data = json.dumps({"time": event.time, "kind": event.kind, **event.body}, ensure_ascii=False)
            yield f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n"
        if events:
            continue
        if state.finished:
            yield f"event: end\ndata: {_view(state).model_dump_json()}\n\n"
            return
        if quiet >= _ALIVE_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
        quiet += _POLL_SECONDS
        await asyncio.sleep(_POLL_SECONDS)
