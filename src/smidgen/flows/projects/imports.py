"""Bring examples into a project: preview a file, add its rows as a new version, read an answer as the task does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, InputError
from smidgen.core.parts import Task, placing
from smidgen.core.rows import Row, Text
from smidgen.data.source import DataSettings
from smidgen.data.tables import DataTable, json_value, open_table
from smidgen.parts import registry
from smidgen.parts.recipe import make
from smidgen.store.studio.data_rows import DataRow, DataVersion, Part, ProjectRows

PREVIEW_ROWS = 50
_MOST_FAULTS = 20


@dataclass(frozen=True)
class FilePreview:
    """The first rows of a file, and the columns that were guessed.

    Attributes:
        columns: all columns, in the file's order.
        input: the guessed text column, or two for tasks with pairs.
        label: the guessed column of answers; None where none looks like one.
        why: how the guesses were made, one sentence each.
        rows: the first rows, by column.
        facts: how the file was read: format, encoding, delimiter, sheet.
    """

    columns: tuple[str, ...]
    input: tuple[str, ...]
    label: tuple[str, ...]
    why: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, str]


@dataclass(frozen=True)
class ImportResult:
    """A file that was added to a project. `faults` are the first rows that could not be used, and `skipped` is how many there were."""

    version: DataVersion
    skipped: int
    faults: tuple[str, ...]


def preview_file(file: Path, task: str, settings: Mapping[str, Any] | None = None) -> FilePreview:
    """Look at the first rows of a file. Raises DataError for a file that cannot be read."""
    table, _, _ = _opened(file, task, settings or {})
    rows = []
    for _, record in table.records():
        rows.append({name: json_value(value) for name, value in record.items()})
        if len(rows) == PREVIEW_ROWS:
            break
    why = tuple(str(choice) for choice in (table.input, table.label) if choice is not None)
    return FilePreview(table.columns, table.input.names, table.label.names if table.label else (), why, tuple(rows), table.facts)


def import_file(
    rows: ProjectRows, file: Path, name: str, task: str, settings: Mapping[str, Any], author: str, part: Part = "train"
) -> ImportResult:
    """Add a file's rows to a project. Rows that cannot be used are left out and counted; an empty answer is one that is not known yet.

    Raises DataError for a file that cannot be read, or without any usable row.
    """
    table, task_part, asked = _opened(file, task, settings)
    faults: list[str] = []
    skipped = 0

    def note(error: DataError) -> None:
        nonlocal skipped
        skipped += 1
        if len(faults) < _MOST_FAULTS:
            faults.append(str(error))

    place = placing(task_part)

    def parsed(cell: Any) -> Any:
        return None if _is_blank(cell) else task_part.parse(cell, asked)

    def placed(text: Text, output: Any) -> Any:
        return output if output is None or place is None else place(text, output)

    usable = table.rows(parsed, note, placed)
    found = _stored(usable, name, part)
    first = next(found, None)
    if first is None:
        todo = faults[0] if faults else "Give a file with a header and at least one row."
        raise DataError("the file holds no row that can be used", value=name, todo=todo)
    details = {"file": name, "input": list(table.input.names), "label": list(table.label.names) if table.label else [], "part": part}
    version = rows.add(_chain(first, found), author, "import", details)
    return ImportResult(version, skipped, tuple(faults))


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _chain(first: DataRow, rest: Iterator[DataRow]) -> Iterator[DataRow]:
    yield first
    yield from rest


def _stored(rows: Iterator[Row], source: str, part: Part) -> Iterator[DataRow]:
    for row in rows:
        text, second = (row.input, None) if isinstance(row.input, str) else row.input
        yield DataRow(text, second, row.output, part, source)


def _opened(file: Path, task: str, settings: Mapping[str, Any]) -> tuple[DataTable, Task, Any]:
    recipe = make({"task": task, "data": {key: value for key, value in settings.items() if value}}, [])
    part: Task = registry.find("tasks", task)
    table = open_table(file, need_label=False, settings=recipe.settings(DataSettings), most_labels=part.most_columns)
    return table, part, recipe.asked


def parse_output(task: str, output: Any) -> Any:
    """An answer as the task reads a cell of a data file; None stays None. Raises InputError where the task does not take it."""
    if output is None:
        return None
    part: Task = registry.find("tasks", task)
    try:
        return part.parse(output, make({"task": task}, []).asked)
    except ValueError as error:
        raise InputError(f"the answer does not fit the task {task}", value=output, todo=f"{error}.") from None
