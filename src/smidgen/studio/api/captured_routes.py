"""`/api/v1/projects/{project}/traffic-sources` and `…/captured-rows`: captured requests as a source of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.flows.data.captured_rows import CapturedChoice, add_captured, read_captured, traffic_jobs, traffic_sources
from smidgen.studio.flows.look import queue_look
from smidgen.studio.store.data_rows import DataRow, DataVersion
from smidgen.studio.store.projects import StudioStore

_SHOWN = 20
_MOST_DAYS = 3_650


class TrafficSourceView(BaseModel):
    """A store of captured requests."""

    id: str = Field(description="`gateway` for what `smidgen serve --capture` stored on this machine, else a project's id.")
    name: str = Field(description="The project's name; empty for the gateway.")
    requests: int
    first: float | None = Field(description="Seconds since 1970.")
    last: float | None = Field(description="Seconds since 1970.")
    models: dict[str, int] = Field(description="Requests by the model that they named, the most frequent first.")


class TrafficJobView(BaseModel):
    """A recurring job that a model of this project's kind can do."""

    id: str
    requests: int
    labels: list[str] = Field(description="The most frequent answers, where they are labels.")
    examples: list[str]


class CapturedQuery(BaseModel):
    """Which captured requests are meant."""

    source: str = Field(min_length=1, max_length=50)
    job: str | None = Field(None, max_length=50)
    model: str | None = Field(None, max_length=300)
    days: int | None = Field(None, ge=1, le=_MOST_DAYS)


class CapturedRowsView(BaseModel):
    """The rows that captured requests would bring; the first of them are shown."""

    total: int
    test: int = Field(description="Of these, rows that become test rows, since their requests are held out.")
    known: int = Field(description="Texts that the data holds already.")
    unusable: dict[str, int] = Field(description="Answers that are left out, by the reason.")
    rows: list[DataRow]


def captured_routes(store: StudioStore, wake: Callable[[], None]) -> APIRouter:
    """The routes of captured requests as rows. `wake` tells the supervisor that a run waits."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["data"])

    @router.get("/traffic-sources")
    def list_traffic_sources(person: Viewer, project: str) -> list[TrafficSourceView]:
        """List the stores of captured requests on this machine, the project's own first; those without requests are left out."""
        return [
            TrafficSourceView(
                id=found.id,
                name=found.name,
                requests=found.requests,
                first=found.first.timestamp() if found.first else None,
                last=found.last.timestamp() if found.last else None,
                models=dict(found.models),
            )
            for found in traffic_sources(store, project)
        ]

    @router.get("/traffic-sources/{source}/jobs")
    def list_traffic_jobs(person: Viewer, project: str, source: str) -> list[TrafficJobView]:
        """List the recurring jobs in a source that a model of this project's kind can do. Takes seconds."""
        return [
            TrafficJobView(id=job.id, requests=job.tally.requests, labels=list(job.answers.labels)[:_SHOWN], examples=list(job.examples))
            for job in traffic_jobs(store, project, source)
        ]

    @router.get("/captured-rows")
    def preview_captured_rows(person: Viewer, project: str, query: Annotated[CapturedQuery, Query()]) -> CapturedRowsView:
        """Show the rows that captured requests would bring. Nothing is changed."""
        found = read_captured(store, project, CapturedChoice(**query.model_dump()))
        return CapturedRowsView(
            total=len(found.rows),
            test=sum(row.part == "test" for row in found.rows),
            known=found.known,
            unusable=dict(found.unusable),
            rows=list(found.rows[-_SHOWN:][::-1]),
        )

    @router.post("/captured-rows", status_code=201)
    def add_captured_rows(person: Editor, project: str, body: CapturedQuery) -> DataVersion:
        """Add the rows of captured requests as a new version, and look at them."""
        made = add_captured(store, project, CapturedChoice(**body.model_dump()), person.name)
        if queue_look(store, project, person.name) is not None:
            wake()
        return made

    return router
