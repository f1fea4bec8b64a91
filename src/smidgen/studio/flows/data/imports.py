"""Bring examples into a project: preview a file, add its rows as a new version, read an answer as the task does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.core.errors import DataError, InputError
from smidgen.core.parts import Task
from smidgen.core.rows import Text
from smidgen.machine.child_process import error_of
from smidgen.parts import registry
from smidgen.studio.flows.data.upload_reader import LIMITS, ChosenColumns, UploadLimits, read_upload
from smidgen.studio.flows.data.uploads import uploads_folder
from smidgen.studio.flows.recipes.project_recipe import asked_of, laid_over, recipe_tree, save_recipe
from smidgen.studio.flows.run_process import parts_of_error
from smidgen.studio.store.data_rows import DataRow, DataVersion, Part, ProjectRows
from smidgen.studio.store.projects import Project, StudioStore

_MOST_KINDS = 3
"""Most errors of rows that a version keeps, of which no two say the same."""


@dataclass(frozen=True)
class UnreadableRow:
    """A row of a file that cannot be read. `row` counts as a spreadsheet does: the header is row 1. `value` is the row itself."""

    row: int | None
    what: str
    value: str
    todo: str


@dataclass(frozen=True)
class FilePreview:
    """The first rows of a file that was sent but not yet added, and the columns that were guessed.

    Attributes:
        upload: by what an import names the file; empty for a file that was not sent.
        columns: all columns, in the file's order.
        input: the guessed text column, or two for tasks with pairs.
        label: the guessed column of answers, or one for each field; empty where none looks like one.
        several: whether a cell seems to hold several labels.
        separator: what stands between them; empty for the task's own way.
        may_have_several: whether texts of this task may have several labels.
        most_label: the most columns of answers.
        header: whether the first row was taken for the names of the columns.
        attributes: whether the text may be written from several columns; then `input` may name more than two.
        why: how the guesses were made, one sentence each.
        rows: the first rows, by column.
        facts: how the file was read: format, encoding, delimiter; of a workbook `sheet`, all `sheets`, rows `above` the table.
        faults: the first rows that cannot be read, which an import leaves out; `unreadable` is how many there are in the file.
    """

    upload: str
    name: str
    columns: tuple[str, ...]
    input: tuple[str, ...]
    label: tuple[str, ...]
    several: bool
    separator: str
    may_have_several: bool
    most_label: int
    header: bool
    attributes: bool
    why: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, str]
    faults: tuple[UnreadableRow, ...]
    unreadable: int


@dataclass(frozen=True)
class ImportResult:
    """A file that was added to a project. `faults` are the errors of the first rows that could not be used, and `skipped` is how many there
    were."""

    version: DataVersion
    skipped: int
    faults: tuple[str, ...]


def preview_file(
    file: Path,
    task: str,
    settings: Mapping[str, Any] | None = None,
    limits: UploadLimits = LIMITS,
    remembered: ChosenColumns | None = None,
    upload: str = "",
    name: str | None = None,
) -> FilePreview:
    """Look at the first rows of a file. Raises DataError for a file that cannot be read. `remembered`: see `read_upload`."""
    preview = read_upload("preview", file, task, settings or {}, limits=limits, remembered=remembered)
    part: Task = registry.find("tasks", task)
    preview["faults"] = [_unreadable(error_of(fault)) for fault in preview["faults"]]
    return FilePreview(
        upload=upload,
        name=file.name if name is None else name,
        may_have_several=bool(part.several),
        most_label=part.most_columns,
        **preview,
    )


def _unreadable(error: DataError) -> UnreadableRow:
    row = None if error.row is None else error.row + error.above
    return UnreadableRow(row=row, what=error.fault, value=str(error.value), todo=error.todo)


def remembered_columns(rows: ProjectRows) -> ChosenColumns | None:
    """The columns of the newest file that was added; None before the first."""
    added = next((version for version in rows.versions() if version.action == "import"), None)
    return None if added is None else ChosenColumns(added.details.get("input", ()), added.details.get("label", ()))


def import_file(
    store: StudioStore,
    project: Project,
    file: Path,
    name: str,
    settings: Mapping[str, Any],
    author: str,
    part: Part = "train",
    separator: str = "",
    limits: UploadLimits = LIMITS,
) -> ImportResult:
    """Add a file's rows to a project. Rows that cannot be used are left out and counted; an empty answer is one that is not known yet.

    Args:
        store: of the project.
        project: whose recipe says how answers are read.
        file: the upload.
        name: of the file, as people know it.
        settings: of the data: `input` and `label`, encoding, sheet.
        author: who adds it.
        part: of the data that the rows go to.
        separator: of several labels in a cell; empty for the task's own way.
        limits: the most that reading may take.

    Raises DataError for a file that cannot be read, or without any usable row.
    """
    with tempfile.TemporaryDirectory(dir=uploads_folder(), prefix="reading-") as folder:
        out = Path(folder) / "rows.jsonl"
        asked = asked_of(project).model_dump(mode="json", exclude_unset=True)
        told = read_upload("rows", file, project.task, settings, out, limits, asked, separator)
        faults = tuple(map(error_of, told["faults"]))
        if not told["rows"]:
            if faults:
                raise faults[0]
            raise DataError("studio.file_holds_no_row_that_can_be_used", value=name)
        details = {"file": name, "input": told["input"], "label": told["label"], "part": part}
        if told["skipped"]:
            kinds = {fault.fault: fault for fault in reversed(faults)}
            first = sorted(kinds.values(), key=lambda fault: fault.row or 0)[:_MOST_KINDS]
            details |= {"skipped": told["skipped"], "faults": [parts_of_error(fault) for fault in first]}
        version = store.rows(project.id).add(_stored(out, name, part), author, "import", details)
    return ImportResult(version, told["skipped"], tuple(map(str, faults)))


def _stored(lines: Path, source: str, part: Part) -> Iterator[DataRow]:
    with lines.open(encoding="utf-8") as stream:
        for line in stream:
            text, second, output = json.loads(line)
            yield DataRow(text, second, output, part, source)


def take_several(store: StudioStore, project: Project) -> Project:
    """Let a text of a project have several labels, from now on. Raises InputError for a task in which that makes no difference."""
    part: Task = registry.find("tasks", project.task)
    if not part.several:
        raise InputError("studio.task_does_not_take_several_labels", value=project.task)
    return save_recipe(store, project, laid_over(recipe_tree(project), {project.task: dict(part.several)}))


def parse_output(project: Project, output: Any, text: Text | None = None) -> Any:
    """An answer as the task reads a cell of a data file, and joined with its text if there is one; None stays None.

    Raises InputError where the task does not take it, or it does not fit the text.
    """
    if output is None:
        return None
    part: Task = registry.find("tasks", project.task)
    try:
        parsed = part.parse(output, asked_of(project))
    except ValueError as error:
        raise InputError("studio.answer_does_not_fit_task", value=output, task=project.task, reason=error) from None
    place = part.place
    if place is None or text is None:
        return parsed
    try:
        return place(text, parsed)
    except ValueError as error:
        raise InputError("studio.answer_does_not_fit_its_text", value=str(output), reason=error) from None
