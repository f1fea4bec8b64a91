"""`/api/v1/projects/{project}/…`: files, rows, labels and versions of a project's data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from smidgen.core.errors import DataError, InputError, RequestError
from smidgen.core.forms import AnswerShape
from smidgen.parts import registry
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.answer_form import FieldKind, answer_form
from smidgen.studio.flows.data.imports import import_file, parse_output, preview_file, remembered_columns, take_several
from smidgen.studio.flows.data.uploads import forget_upload, new_upload, uploaded
from smidgen.studio.flows.look import queue_look
from smidgen.studio.store.data_rows import DataRow, DataVersion, Part, ProjectRows, RowFilter
from smidgen.studio.store.projects import Project, StudioStore

MOST_UPLOAD = 512 << 20
"""Bytes of a file."""
_MOST_ROWS = 500
_MOST_KEYS = 100_000
_MOST_MERGED = 1_000


class UnreadableRow(BaseModel):
    """A row of a file that cannot be read."""

    row: int | None = Field(description="Its number as a spreadsheet counts: the header is row 1.")
    what: str
    value: str = Field(description="The row as it stands in the file.")
    todo: str


class UploadView(BaseModel):
    """A file that was sent but not yet added: what it holds, and the columns that were guessed."""

    upload: str = Field(description="What to name the file by in the import.")
    name: str
    columns: list[str]
    input: list[str]
    label: list[str] = Field(description="The columns of the answers: one, or one for each field.")
    several: bool = Field(description="Whether a cell seems to hold several labels.")
    separator: str = Field(description="What stands between them; empty for the task's own way.")
    may_have_several: bool = Field(description="Whether texts of this project may have several labels.")
    most_label: int = Field(description="The most columns of answers.")
    header: bool = Field(description="Whether the first row was taken for the names of the columns.")
    attributes: bool = Field(description="Whether a text may be written from several columns: then an import may name more than two.")
    why: list[str]
    rows: list[dict[str, Any]] = Field(description="The first rows, by column.")
    facts: dict[str, str] = Field(
        description="How the file was read: format, encoding, delimiter; of a workbook `sheet`, all `sheets`, rows `above` the table."
    )
    faults: list[UnreadableRow] = Field(description="The first rows that cannot be read. An import leaves all of them out.")
    unreadable: int = Field(description="How many rows of the file cannot be read.")


class ImportRequest(BaseModel):
    """Which columns of a file to add."""

    upload: str = Field(pattern=r"^[0-9a-f]{12}$")
    input: list[str] = Field(min_length=1, max_length=200)
    label: list[str] = Field(max_length=200)
    part: Part = "train"
    several: bool = Field(False, description="A text may have several labels: the project's recipe says so from then on.")
    separator: str = Field("", max_length=5, description="What stands between several labels of a cell; empty for the task's own way.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Further settings of the data: encoding, sheet, delimiter.")


class VersionView(BaseModel):
    """A version of the data."""

    number: int
    time: float = Field(description="Seconds since 1970.")
    author: str
    action: str
    details: dict[str, Any]
    rows: int
    changed: int
    reverses: int | None


class ImportView(BaseModel):
    """A file that was added."""

    version: VersionView
    skipped: int = Field(description="Rows that could not be used.")
    faults: list[str] = Field(description="The first of their errors.")


class RowView(BaseModel):
    """A row."""

    key: int
    input: str
    second: str | None
    output: Any
    part: Part
    source: str


class RowPage(BaseModel):
    """Some rows, and how many there are."""

    total: int
    version: int
    rows: list[RowView]


class AnswerCount(BaseModel):
    """An answer, and how many rows have it; null stands for rows without one."""

    output: Any
    rows: int


class NameView(BaseModel):
    """A label or a kind of span, and how many answers have it."""

    name: str
    rows: int


class ValueView(BaseModel):
    """A value of a field, and how many answers have it."""

    value: Any
    rows: int


class AnswerFieldView(BaseModel):
    """A field of the answers."""

    path: str = Field(description="Its name; names of nested fields are joined by dots.")
    kind: FieldKind
    options: list[Any] = Field(description="The values to choose from; empty where any value may be given.")
    many: bool = Field(description="Whether it holds a list of values.")
    about: str
    rows: int = Field(description="Answers in which it has a value.")
    values: list[ValueView] = Field(description="The commonest values.")


class AnswerFormView(BaseModel):
    """How a project's answers look: what a person reads, and gives."""

    shape: AnswerShape
    names: list[NameView] = Field(description="Labels, or kinds of span.")
    fields: list[AnswerFieldView]
    fixed: bool = Field(description="Whether a schema gives the fields, so that no other can be added.")
    pairs: bool = Field(description="Whether rows have two texts.")
    read: int = Field(description="Answers that were looked at.")


class DataSummary(BaseModel):
    """The state of a project's data."""

    version: int
    rows: int
    unlabelled: int
    test_rows: int
    undo: VersionView | None
    redo: VersionView | None


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


class RowChangeView(BaseModel):
    """A row that differs between two versions."""

    key: int
    before: RowView | None
    after: RowView | None


def version_view(version: DataVersion) -> VersionView:
    """A version as the API shows it."""
    fields = {name: getattr(version, name) for name in ("number", "time", "author", "action", "rows", "changed", "reverses")}
    return VersionView(**fields, details=dict(version.details))


def _maybe(version: DataVersion | None) -> VersionView | None:
    return None if version is None else version_view(version)


def row_view(row: DataRow) -> RowView:
    """A row as the API shows it."""
    return RowView(key=row.key, input=row.input, second=row.second, output=row.output, part=row.part, source=row.source)


def _unreadable(error: DataError) -> dict[str, Any]:
    return {
        "row": None if error.row is None else error.row + error.above,
        "what": error.fault,
        "value": str(error.value),
        "todo": error.todo,
    }


def _looked_at(
    store: StudioStore, project: Project, file: Path, upload: str, name: str, settings: Mapping[str, Any] | None = None
) -> UploadView:
    part = registry.find("tasks", project.task)
    seen = preview_file(file, project.task, settings, remembered=remembered_columns(store.rows(project.id)))
    faults = list(map(_unreadable, seen.faults))
    guessed = {**vars(seen), "faults": faults, "may_have_several": bool(part.several), "most_label": part.most_columns}
    return UploadView.model_validate({"upload": upload, "name": name, **guessed})


def data_routes(store: StudioStore, wake: Callable[[], None]) -> APIRouter:
    """The routes of a project's data. `wake` tells the supervisor that a run waits."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["data"])

    @router.post(
        "/uploads",
        status_code=201,
        openapi_extra=FILE_BODY,
    )
    async def upload(person: Editor, request: Request, project: str, name: str = Query(max_length=300)) -> UploadView:
        """Send a file: CSV, TSV, JSONL, Parquet or XLSX. It is looked at, and added by an import."""
        found = store.project(project)
        file, id = new_upload(name)
        try:
            await receive_file(request, file, MOST_UPLOAD, "studio.data_file_is_larger_than_mb")
            return await run_in_threadpool(_looked_at, store, found, file, id, Path(name).name)
        except InputError:
            forget_upload(file)
            raise

    @router.get("/uploads/{upload}")
    def look_at_upload(
        person: Editor, project: str, upload: str, header: bool = True, sheet: str = Query("", max_length=300)
    ) -> UploadView:
        """Look at a sent file again: whether its first row names the columns (`header`) or is an example, and at which `sheet` of it."""
        file = uploaded(upload)
        return _looked_at(store, store.project(project), file, upload, file.name, {"header": header, "sheet": sheet})

    @router.post("/imports", status_code=201)
    def import_upload(person: Editor, project: str, body: ImportRequest) -> ImportView:
        """Add the rows of a file as a new version, and look at them. Rows that cannot be used are left out and counted."""
        file = uploaded(body.upload)
        settings = {**body.settings, "input": body.input, "label": body.label}
        into = take_several(store, store.project(project)) if body.several else store.project(project)
        found = import_file(store, into, file, file.name, settings, person.name, body.part, body.separator)
        forget_upload(file)
        if queue_look(store, project, person.name) is not None:
            wake()
        return ImportView(version=version_view(found.version), skipped=found.skipped, faults=[str(fault) for fault in found.faults])

    @router.get("/data")
    def read_summary(person: Viewer, project: str) -> DataSummary:
        """Read the state of the data: its newest version, its numbers of rows, what can be undone."""
        rows = store.rows(project)
        undo, redo = rows.steps()
        unlabelled, tests = rows.count(RowFilter(unlabelled=True)), rows.count(RowFilter(part="test"))
        return DataSummary(version=rows.head(), rows=rows.count(), unlabelled=unlabelled, test_rows=tests,
                           undo=_maybe(undo), redo=_maybe(redo))  # fmt: skip

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
        return RowPage(
            total=rows.count(where, version), version=rows.head() if version is None else version, rows=[row_view(row) for row in found]
        )

    @router.get("/labels")
    def list_labels(person: Viewer, project: str, version: int | None = Query(None, ge=0)) -> list[AnswerCount]:
        """Count the rows of each answer, the most frequent first."""
        store.project(project)  # an unknown one is told, not shown as empty
        return [AnswerCount(output=output, rows=number) for output, number in store.rows(project).outputs(version)]

    @router.get("/answer-form")
    def read_answer_form(person: Viewer, project: str) -> AnswerFormView:
        """Read how the project's answers look: labels, kinds of span, or fields with their values."""
        form = answer_form(store, project)
        fields = [
            AnswerFieldView(
                **{name: getattr(field, name) for name in ("path", "kind", "many", "about", "rows")},
                options=list(field.options),
                values=[ValueView(value=value, rows=rows) for value, rows in field.values],
            )
            for field in form.fields
        ]
        names = [NameView(name=name, rows=rows) for name, rows in form.names]
        return AnswerFormView(shape=form.shape, names=names, fields=fields, fixed=form.fixed, pairs=form.pairs, read=form.read)

    @router.post("/edits", status_code=201)
    def edit(person: Editor, project: str, body: EditRequest) -> VersionView:
        """Edit the data; the edit is a new version."""
        return version_view(_edit(store.rows(project), store.project(project), body.edit, person.name))

    @router.post("/undo")
    def undo(person: Editor, project: str) -> VersionView | None:
        """Take back the last edit; null where there is nothing to take back."""
        made = store.rows(project).undo(person.name)
        return _maybe(made)

    @router.post("/redo")
    def redo(person: Editor, project: str) -> VersionView | None:
        """Repeat the last edit that was undone; null where there is none."""
        made = store.rows(project).redo(person.name)
        return _maybe(made)

    @router.get("/versions")
    def list_versions(person: Viewer, project: str) -> list[VersionView]:
        """List the versions, the newest first."""
        store.project(project)
        return [version_view(version) for version in store.rows(project).versions()]

    @router.post("/versions/{number}/restore", status_code=201)
    def restore(person: Editor, project: str, number: int) -> VersionView:
        """Make a new version with the rows of an older one."""
        return version_view(store.rows(project).restore(number, person.name))

    @router.get("/versions/{older}/changes/{newer}")
    def compare(person: Viewer, project: str, older: int, newer: int, limit: int = Query(200, ge=1, le=2_000)) -> list[RowChangeView]:
        """List the rows that differ between two versions."""
        changes = store.rows(project).compare(older, newer)[:limit]
        return [
            RowChangeView(
                key=change.key,
                before=row_view(change.before) if change.before else None,
                after=row_view(change.after) if change.after else None,
            )
            for change in changes
        ]

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
