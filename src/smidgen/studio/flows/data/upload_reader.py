"""Read an uploaded file in a process of its own, with bounds on its memory, time, columns and size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from smidgen.core.errors import DataError, InputError
from smidgen.core.parts import Task
from smidgen.core.printable import printable_json, whole
from smidgen.core.rows import Row, Text
from smidgen.data.columns import ColumnChoice, NoHeader, NoTextColumn, as_text, choose_written, resolve
from smidgen.data.source import DataSettings, ReadLimits
from smidgen.data.tables import DataTable, json_value, open_columns, open_table
from smidgen.machine.child_process import WorkerErrors, ask_worker, fault_of, work
from smidgen.parts import registry
from smidgen.parts.recipe import make
from smidgen.studio.flows.data.answer_guess import guess_answer

Reading = Literal["preview", "rows", "records"]
"""The first rows; all rows in the task's form; all records as they are."""
PREVIEW_ROWS: Final = 50
_SAMPLE = 2000
_NOT_KNOWN = "not known"
_PREVIEW_CELL = 500
_MOST_FAULTS = 20
_SHOWN_FAULTS = 5
_MOST_ROW_FAULTS = 10_000
_ERRORS = WorkerErrors(
    slow="studio.data_file_is_not_read_in_time",
    large="studio.data_file_needs_too_much_memory",
    broken="studio.data_file_breaks_its_reader",
)


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The most that reading an upload may take.

    Attributes:
        memory: bytes of its process, where the system can bound them.
        seconds: its time.
        columns: of the file.
        cells: rows times columns.
        unpacked: bytes that a compressed file may unpack to, and that rows may come to.
    """

    memory: int = 3 << 30
    seconds: float = 300.0
    columns: int = 1_000
    cells: int = 50_000_000
    unpacked: int = 1 << 30


LIMITS = UploadLimits()


@dataclass(frozen=True, slots=True)
class ChosenColumns:
    """The columns of inputs and of answers."""

    input: Sequence[str]
    label: Sequence[str] = ()


def read_upload(
    reading: Reading,
    file: Path,
    task: str,
    settings: Mapping[str, Any],
    out: Path | None = None,
    limits: UploadLimits = LIMITS,
    asked: Mapping[str, Any] | None = None,
    separator: str = "",
    remembered: ChosenColumns | None = None,
) -> dict[str, Any]:
    """Read a file in a child process; rows and records go to `out` as JSON lines. Returns what the child tells of it.

    Args:
        reading: what to read.
        file: the upload.
        task: the project's task.
        settings: of the data: columns, encoding, sheet.
        out: where lines go; None for a preview.
        limits: the most that reading may take.
        asked: the task's own settings, by which answers are read.
        separator: of several labels in a cell; empty for the task's own way.
        remembered: the columns of an earlier file, taken where this one has them and `settings` names none.

    Raises DataError for a file that cannot be read, or not within the limits.
    """
    asked = {
        "reading": reading,
        "file": str(file),
        "task": task,
        "settings": dict(settings),
        "own": dict(asked or {}),
        "separator": separator,
        "out": str(out or ""),
        "limits": asdict(limits),
        "remembered": None if remembered is None else asdict(remembered),
    }
    return ask_worker(__name__, asked, limits.memory, limits.seconds, file.name, _ERRORS)


# In the child.


def _read(asked: Mapping[str, Any]) -> dict[str, Any]:
    limits = UploadLimits(**asked["limits"])
    task: Task = registry.find("tasks", asked["task"])
    settings = asked["settings"]
    given = {key: ",".join(value) if isinstance(value, list) else value for key, value in settings.items() if value or value is False}
    remembered = ChosenColumns(**asked["remembered"]) if asked["remembered"] else ChosenColumns(())
    bounds = ReadLimits(unpacked=limits.unpacked, memory=limits.memory, seconds=limits.seconds, columns=limits.columns)
    if task.reads_attributes:
        data = {key: given[key] for key in given if key not in ("input", "label")}
        recipe = make({"task": asked["task"], "data": data, asked["task"]: asked["own"]}, [])
        table, columns = _finished_texts(asked["file"], settings, recipe.settings(DataSettings), bounds, remembered)
    else:
        recipe = make({"task": asked["task"], "data": given, asked["task"]: asked["own"]}, [])
        table = _table(asked, task, recipe.settings(DataSettings), bounds, remembered)
        columns = () if table.input.how == _NOT_KNOWN else table.input.names
    told = {
        "columns": table.columns,
        "input": columns,
        "label": table.label.names if table.label else (),
        "attributes": task.reads_attributes,
        "header": "header" not in table.facts,
        "facts": {**table.facts, "format": table.source.name},
    }
    if asked["reading"] == "preview":
        records, faults, unreadable = _seen(table)
        guess = guess_answer(table, task, records)
        why = [str(choice) for choice in (table.input, guess.label) if choice is not None]
        rows = [{name: _short(value) for name, value in record.items()} for record in records]
        label = guess.label.names if guess.label else ()
        return {
            **told,
            "label": label,
            "several": guess.several,
            "separator": guess.separator,
            "why": why,
            "rows": rows,
            "faults": faults,
            "unreadable": unreadable,
        }
    with Path(asked["out"]).open("w", encoding="utf-8", newline="\n") as stream:
        sheet = _Sheet(stream, table, limits)
        if asked["reading"] == "records":
            return {**told, "input": table.input.names, **_records(table, sheet)}
        return {**told, **_rows(table, task, recipe.asked, sheet, asked["separator"])}


def _seen(table: DataTable) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """The first rows; the errors of the first rows that cannot be read, and their number in the file. Raises DataError if none can."""
    records: list[dict[str, Any]] = []
    errors: list[DataError] = []
    unreadable = 0
    for _, record in table.each():
        if isinstance(record, DataError):
            unreadable += 1
            errors += [record] if len(errors) < _SHOWN_FAULTS else []
        elif len(records) < PREVIEW_ROWS:
            records.append(record)
    if not records and errors:
        raise errors[0]
    return records, [fault_of(error) for error in errors], unreadable


def _table(asked: Mapping[str, Any], task: Task, settings: DataSettings, bounds: ReadLimits, remembered: ChosenColumns) -> DataTable:
    """The table of a file. In a preview nothing has to be guessed: people choose the columns, and say whether the first row names them."""
    before = (",".join(remembered.input) or None, ",".join(remembered.label) or None)
    try:
        return open_table(
            asked["file"], need_label=False, settings=settings, remembered=before, most_labels=task.most_columns, limits=bounds
        )
    except (NoHeader, NoTextColumn) as error:
        if asked["reading"] != "preview":
            raise
        if isinstance(error, NoHeader) and settings.header and "header" not in asked["settings"]:
            return _table(asked, task, settings.model_copy(update={"header": False}), bounds, remembered)
        table = open_columns(asked["file"], settings=settings, limits=bounds)
        return replace(table, input=ColumnChoice(table.columns[:1], _NOT_KNOWN))


def _finished_texts(
    file: str, given: Mapping[str, Any], settings: DataSettings, bounds: ReadLimits, remembered: ChosenColumns
) -> tuple[DataTable, tuple[str, ...]]:
    """The table of a task whose input may be several columns, made one text; and the columns that it is made of."""
    table = open_columns(file, settings=settings, limits=bounds)
    sample = [record for _, record in islice(table.each(), _SAMPLE) if not isinstance(record, DataError)]
    guessed, label = choose_written(table.columns, sample)
    if known := [name for name in remembered.input if name in table.columns]:
        guessed, label = tuple(known), tuple(name for name in remembered.label if name in table.columns)
    columns = _named(given.get("input"), table) or guessed
    label = _named(given["label"], table) if "label" in given else tuple(name for name in label if name not in columns)
    if not columns:
        raise DataError("studio.every_column_is_empty", value=", ".join(table.columns))
    table = replace(table, label=ColumnChoice(label, "given") if label else None)
    if len(columns) > 1:
        return table.with_attributes(columns), columns
    return replace(table, input=ColumnChoice(columns, "given")), columns


def _named(given: Any, table: DataTable) -> tuple[str, ...]:
    """The columns that a person named, as a list or joined by commas. Raises DataError for one that the file lacks."""
    wanted = given if isinstance(given, list) else [given] if given else []
    found = [name for one in wanted for name in resolve(one, table.columns, table.name, "--input", len(table.columns))]
    return tuple(dict.fromkeys(found))


class _Sheet:
    """Writes lines of JSON, within the limits of cells and size."""

    def __init__(self, stream: TextIO, table: DataTable, limits: UploadLimits) -> None:
        self._stream, self._table, self._limits = stream, table, limits
        self.rows = self._size = 0

    def write(self, value: Any) -> None:
        """Add a line."""
        line = printable_json(value, default=str)
        self.rows += 1
        self._size += len(line) + 1
        if self.rows * len(self._table.columns) > self._limits.cells:
            raise DataError("studio.file_has_too_many_cells", value=self._table.name, cells=self._limits.cells)
        if self._size > self._limits.unpacked:
            raise DataError("studio.file_rows_are_too_large", value=self._table.name, unpacked=self._limits.unpacked >> 20)
        self._stream.write(line + "\n")


def _short(value: Any) -> Any:
    plain = as_text(json_value(value))
    if plain is None or isinstance(plain, bool | int) or (isinstance(plain, float) and math.isfinite(plain)):
        return plain
    text = printable_json(plain, default=str) if isinstance(plain, dict | list) else whole(str(plain))
    return text if len(text) <= _PREVIEW_CELL else text[:_PREVIEW_CELL] + "…"


def _rows(table: DataTable, task: Task, asked: Any, sheet: _Sheet, separator: str) -> dict[str, Any]:
    """Write `[input, second, output]` of each row that can be used; an empty answer is one that is not known yet.

    Cells of several columns are read together, so that each column has one type.
    """
    faults: list[dict[str, Any]] = []
    skipped = 0
    place = task.place

    def note(error: DataError) -> None:
        nonlocal skipped
        skipped += 1
        if len(faults) < _MOST_FAULTS:
            faults.append(fault_of(error))

    def parsed(cell: Any) -> Any:
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            return None
        if separator and isinstance(cell, str):
            cell = [piece for piece in cell.split(separator) if piece.strip()]
        return task.parse(cell, asked)

    def placed(text: Text, output: Any) -> Any:
        return output if output is None or place is None else place(text, output)

    found = table.rows(parsed, note, placed)
    for row in _typed(found, task, asked) if table.label and len(table.label.names) > 1 else found:
        text, second = (row.input, None) if isinstance(row.input, str) else row.input
        sheet.write([text, second, row.output])
    return {"rows": sheet.rows, "skipped": skipped, "faults": faults}


def _typed(rows: Iterator[Row], task: Task, asked: Any) -> Iterator[Row]:
    if task.fields is None:
        return rows
    whole = list(rows)
    outputs = task.fields.typed([row.output for row in whole], asked)
    return (replace(row, output=output) for row, output in zip(whole, outputs, strict=True))


def _records(table: DataTable, sheet: _Sheet) -> dict[str, Any]:
    """Write each record; an empty one stands for a row that cannot be read, whose error is in `faults` under its place among them."""
    faults: dict[str, str] = {}
    for place, (_, record) in enumerate(table.each(), 1):
        if isinstance(record, DataError):
            if len(faults) < _MOST_ROW_FAULTS:
                faults[str(place)] = str(record)
            sheet.write({})
        else:
            sheet.write({name: json_value(value) for name, value in record.items()})
    if not sheet.rows:
        raise InputError("studio.file_holds_no_rows", value=table.name)
    return {"rows": sheet.rows, "faults": faults}


if __name__ == "__main__":
    work(_read)
