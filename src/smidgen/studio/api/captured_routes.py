"""`/api/v1/projects/{project}/traffic-sources` and `…/captured-rows`: captured requests as a source of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.flows.data.captured_rows import (
    CapturedChoice,
    CaptureSource,
    add_captured,
    read_captured,
    traffic_jobs,
    traffic_sources,
)
from smidgen.studio.flows.look import queue_look
from smidgen.studio.store.data_rows import DataRow, DataVersion
from smidgen.studio.store.projects import StudioStore

_SHOWN = 20
_MOST_DAYS = 3_650


class TrafficJob(BaseModel):
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


class CapturedPreview(BaseModel):
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
    def list_traffic_sources(person: Viewer, project: str) -> list[CaptureSource]:
        """List the stores of captured requests on this machine, the project's own first; those without requests are left out."""
        return traffic_sources(store, project)

    @router.get("/traffic-sources/{source}/jobs")
    def list_traffic_jobs(person: Viewer, project: str, source: str) -> list[TrafficJob]:
        """List the recurring jobs in a source that a model of this project's kind can do. Takes seconds."""
        return [
            TrafficJob(id=job.id, requests=job.tally.requests, labels=list(job.answers.labels)[:_SHOWN], examples=list(job.examples))
            for job in traffic_jobs(store, project, source)
        ]

    @router.get("/captured-rows")
    def preview_captured_rows(person: Viewer, project: str, query: Annotated[CapturedQuery, Query()]) -> CapturedPreview:
        """Show the rows that captured requests would bring. Nothing is changed."""
        found = read_captured(store, project, CapturedChoice(**query.model_dump()))
        return CapturedPreview(
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
