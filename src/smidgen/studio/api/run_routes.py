"""`/api/v1/projects/{project}/runs` and `/api/v1/runs/{run}`: start work, follow it, stop it, resume it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from smidgen.core.errors import RequestError
from smidgen.parts import registry
from smidgen.studio.api.access import Builder, Permission, Viewer, not_allowed
from smidgen.studio.flows.supervisor import Supervisor
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore

_POLL_SECONDS = 0.4
_ALIVE_SECONDS = 15.0
_RUN = TypeAdapter(Run)


class NewRun(BaseModel):
    """A run to start."""

    kind: str = Field(min_length=1, max_length=50)
    request: dict[str, Any] = Field(default_factory=dict)


def run_routes(store: StudioStore, supervisor: Supervisor) -> APIRouter:
    """The routes of runs."""
    router = APIRouter(prefix="/api/v1", tags=["runs"])
    runs = RunStore(store.database)

    @router.get("/projects/{project}/runs")
    def list_runs(person: Viewer, project: str) -> list[Run]:
        """List the runs of a project, the newest first."""
        ahead = {run.id: place for place, run in enumerate(runs.unfinished()) if run.state == "queued"}
        numbers = runs.numbers(project)
        return [replace(run, ahead=ahead.get(run.id), number=numbers.get(run.id)) for run in runs.of_project(project)]

    @router.post("/projects/{project}/runs", status_code=201)
    def start_run(person: Builder, project: str, body: NewRun) -> Run:
        """Queue a run. It starts when the runs before it have ended."""
        kinds = registry.names("studio.flows")
        if body.kind not in kinds:
            raise RequestError("studio.there_is_no_such_kind_of_run", value=body.kind, kinds=", ".join(kinds), param="kind")
        needed: Permission = getattr(registry.find("studio.flows", body.kind), "permission", "build")
        if not person.may(needed):
            raise not_allowed(person, needed)
        run = runs.enqueue(store.project(project).id, body.kind, body.request, person.name)
        supervisor.wake()
        return run

    @router.get("/runs/{run}")
    def read_run(person: Viewer, run: str) -> Run:
        """Read one run."""
        return runs.get(run)

    @router.post("/runs/{run}/stop")
    def stop_run(person: Builder, run: str) -> Run:
        """Stop a run. What it has finished is kept for when it is resumed."""
        stopped = runs.ask_to_stop(run)
        supervisor.wake()
        return stopped

    @router.post("/runs/{run}/resume")
    def resume_run(person: Builder, run: str) -> Run:
        """Queue a stopped or failed run again."""
        resumed = runs.resume(run)
        supervisor.wake()
        return resumed

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
            yield f"event: end\ndata: {_RUN.dump_json(state).decode()}\n\n"
            return
        if quiet >= _ALIVE_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
        quiet += _POLL_SECONDS
        await asyncio.sleep(_POLL_SECONDS)
