"""`/api/v1/projects/{project}/…`: files, rows, labels and versions of a project's data, and captured requests as a source of rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from smidgen.core.errors import InputError, RequestError
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.answer_form import ProjectAnswerForm, answer_form
from smidgen.studio.flows.data.captured_rows import (
    CapturedChoice,
    CaptureSource,
    add_captured,
    read_captured,
    traffic_jobs,
    traffic_sources,
)
from smidgen.studio.flows.data.imports import (
    FilePreview,
    ImportResult,
    import_file,
    parse_output,
    preview_file,
    remembered_columns,
    take_several,
)
from smidgen.studio.flows.data.uploads import forget_upload, new_upload, uploaded
from smidgen.studio.flows.look import queue_look
from smidgen.studio.store.data_rows import DataRow, DataVersion, Part, ProjectRows, RowChange, RowFilter
from smidgen.studio.store.projects import Project, StudioStore

MOST_UPLOAD = 512 << 20
"""Bytes of a file."""
_MOST_ROWS = 500
_MOST_KEYS = 100_000
_MOST_MERGED = 1_000


class ImportRequest(BaseModel):
    """Which columns of a file to add."""

    upload: str = Field(pattern=r"^[0-9a-f]{12}$")
    input: list[str] = Field(min_length=1, max_length=200)
    label: list[str] = Field(max_length=200)
    part: Part = "train"
    several: bool = Field(False, description="A text may have several labels: the project's recipe says so from then on.")
    separator: str = Field("", max_length=5, description="What stands between several labels of a cell; empty for the task's own way.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Further settings of the data: encoding, sheet, delimiter.")


class RowPage(BaseModel):
    """Some rows, and how many there are."""

    total: int
    version: int
    rows: list[DataRow]


class AnswerCount(BaseModel):
    """An answer, and how many rows have it; null stands for rows without one."""

    output: Any
    rows: int


class DataSummary(BaseModel):
    """The state of a project's data."""

    version: int
    rows: int
    unlabelled: int
    test_rows: int
    undo: DataVersion | None
    redo: DataVersion | None


class RelabelEdit(BaseModel):
    """Give rows an answer; null takes it away."""

    kind: Literal["relabel"]
    keys: list[int] = Field(min_length=1, max_length=_MOST_KEYS)
    output: Any


class RenameEdit(BaseModel):
    """Rename an answer in all rows, or merge it into another."""

    kind: Literal["rename"]
    old: Any
    new: Any


class MergeEdit(BaseModel):
    """Give all rows with one of these answers another one."""

    kind: Literal["merge"]
    old: list[Any] = Field(min_length=1, max_length=_MOST_MERGED)
    new: Any


class DropEdit(BaseModel):
    """Remove rows."""

    kind: Literal["drop"]
    keys: list[int] = Field(min_length=1, max_length=_MOST_KEYS)


class MoveEdit(BaseModel):
    """Move rows to the training or the test part."""

    kind: Literal["move"]
    keys: list[int] = Field(min_length=1, max_length=_MOST_KEYS)
    part: Part


class AddEdit(BaseModel):
    """Add one row."""

    kind: Literal["add"]
    input: str = Field(min_length=1, max_length=1_000_000)
    second: str | None = None
    output: Any = None
    source: str = "studio"


class EditRequest(BaseModel):
    """One edit."""

    edit: RelabelEdit | RenameEdit | MergeEdit | DropEdit | MoveEdit | AddEdit = Field(discriminator="kind")


def _preview(
    store: StudioStore, project: Project, file: Path, upload: str, name: str, settings: Mapping[str, Any] | None = None
) -> FilePreview:
    remembered = remembered_columns(store.rows(project.id))
    return preview_file(file, project.task, settings, remembered=remembered, upload=upload, name=name)


def data_routes(store: StudioStore, wake: Callable[[], None]) -> APIRouter:
    """The routes of a project's data. `wake` tells the supervisor that a run waits."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["data"])

    @router.post(
        "/uploads",
        status_code=201,
        openapi_extra=FILE_BODY,
    )
    async def upload(person: Editor, request: Request, project: str, name: str = Query(max_length=300)) -> FilePreview:
        """Send a file: CSV, TSV, JSONL, Parquet or XLSX. It is looked at, and added by an import."""
        found = store.project(project)
        file, id = new_upload(name)
        try:
            await receive_file(request, file, MOST_UPLOAD, "studio.data_file_is_larger_than_mb")
            return await run_in_threadpool(_preview, store, found, file, id, Path(name).name)
        except InputError:
            forget_upload(file)
            raise

    @router.get("/uploads/{upload}")
    def look_at_upload(
        person: Editor, project: str, upload: str, header: bool = True, sheet: str = Query("", max_length=300)
    ) -> FilePreview:
        """Look at a sent file again: whether its first row names the columns (`header`) or is an example, and at which `sheet` of it."""
        file = uploaded(upload)
        return _preview(store, store.project(project), file, upload, file.name, {"header": header, "sheet": sheet})

    @router.post("/imports", status_code=201)
    def import_upload(person: Editor, project: str, body: ImportRequest) -> ImportResult:
        """Add the rows of a file as a new version, and look at them. Rows that cannot be used are left out and counted."""
        file = uploaded(body.upload)
        settings = {**body.settings, "input": body.input, "label": body.label}
        into = take_several(store, store.project(project)) if body.several else store.project(project)
        added = import_file(store, into, file, file.name, settings, person.name, body.part, body.separator)
        forget_upload(file)
        if queue_look(store, project, person.name) is not None:
            wake()
        return added

    @router.get("/data")
    def read_summary(person: Viewer, project: str) -> DataSummary:
        """Read the state of the data: its newest version, its numbers of rows, what can be undone."""
        rows = store.rows(project)
        undo, redo = rows.steps()
        unlabelled, tests = rows.count(RowFilter(unlabelled=True)), rows.count(RowFilter(part="test"))
        return DataSummary(version=rows.head(), rows=rows.count(), unlabelled=unlabelled, test_rows=tests,
                           undo=undo, redo=redo)  # fmt: skip

    @router.get("/rows")
    def list_rows(
        person: Viewer,
        project: str,
        offset: int = Query(0, ge=0),
        limit: int = Query(100, ge=1, le=_MOST_ROWS),
        search: str = Query("", max_length=500),
        output: str | None = Query(None, description="Only rows with this answer, as JSON."),
        holds: str | None = Query(None, max_length=1_000, description="Only rows whose answer holds this label, kind or value, as JSON."),
        field: str | None = Query(None, max_length=200, description="With `holds`: the field that has the value."),
        unlabelled: bool = False,
        part: Part | None = None,
        version: int | None = Query(None, ge=0),
    ) -> RowPage:
        """List rows in the order in which they were added."""
        rows, where = store.rows(project), RowFilter(search, _normal(output), unlabelled, part, holds=_normal(holds), field=field)
        found = rows.page(offset, limit, where, version)
        return RowPage(total=rows.count(where, version), version=rows.head() if version is None else version, rows=found)

    @router.get("/labels")
    def list_labels(person: Viewer, project: str, version: int | None = Query(None, ge=0)) -> list[AnswerCount]:
        """Count the rows of each answer, the most frequent first."""
        store.project(project)  # an unknown one is told, not shown as empty
        return [AnswerCount(output=output, rows=number) for output, number in store.rows(project).outputs(version)]

    @router.get("/answer-form")
    def read_answer_form(person: Viewer, project: str) -> ProjectAnswerForm:
        """Read how the project's answers look: labels, kinds of span, or fields with their values."""
        return answer_form(store, project)

    @router.post("/edits", status_code=201)
    def edit(person: Editor, project: str, body: EditRequest) -> DataVersion:
        """Edit the data; the edit is a new version."""
        return _edit(store.rows(project), store.project(project), body.edit, person.name)

    @router.post("/undo")
    def undo(person: Editor, project: str) -> DataVersion | None:
        """Take back the last edit; null where there is nothing to take back."""
        return store.rows(project).undo(person.name)

    @router.post("/redo")
    def redo(person: Editor, project: str) -> DataVersion | None:
        """Repeat the last edit that was undone; null where there is none."""
        return store.rows(project).redo(person.name)

    @router.get("/versions")
    def list_versions(person: Viewer, project: str) -> list[DataVersion]:
        """List the versions, the newest first."""
        store.project(project)
        return store.rows(project).versions()

    @router.post("/versions/{number}/restore", status_code=201)
    def restore(person: Editor, project: str, number: int) -> DataVersion:
        """Make a new version with the rows of an older one."""
        return store.rows(project).restore(number, person.name)

    @router.get("/versions/{older}/changes/{newer}")
    def compare(person: Viewer, project: str, older: int, newer: int, limit: int = Query(200, ge=1, le=2_000)) -> list[RowChange]:
        """List the rows that differ between two versions."""
        return store.rows(project).compare(older, newer)[:limit]

    return router


def _edit(
    rows: ProjectRows, project: Project, edit: RelabelEdit | RenameEdit | MergeEdit | DropEdit | MoveEdit | AddEdit, author: str
) -> DataVersion:
    match edit:
        case RelabelEdit():
            output = parse_output(project, edit.output)
            told = {"output": output, "rows": len(edit.keys)}
            return rows.change(
                edit.keys, lambda row: replace(row, output=parse_output(project, edit.output, row.text)), author, "relabel", told
            )
        case RenameEdit():
            new = parse_output(project, edit.new)
            return rows.replace_output(edit.old, new, author, "rename", {"old": edit.old, "new": new})
        case MergeEdit():
            new = parse_output(project, edit.new)
            return rows.replace_outputs(edit.old, new, author, "rename", {"old": edit.old, "new": new})
        case DropEdit():
            return rows.change(edit.keys, lambda _: None, author, "drop", {"rows": len(edit.keys)})
        case MoveEdit():
            return rows.change(
                edit.keys, lambda row: replace(row, part=edit.part), author, "move", {"part": edit.part, "rows": len(edit.keys)}
            )
        case AddEdit():
            row = DataRow(edit.input, edit.second, None, "train", edit.source)
            row = replace(row, output=parse_output(project, edit.output, row.text))
            return rows.add([row], author, "add", {"source": edit.source})


def _normal(output: str | None) -> str | None:
    """An answer in JSON, as the store writes it."""
    if output is None:
        return None
    try:
        return json.dumps(json.loads(output), ensure_ascii=False)
    except ValueError:
        raise RequestError("studio.answer_is_not_json", value=output, param="output") from None


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
