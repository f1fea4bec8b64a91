"""Open a data file: find its format and its columns, stream its rows, and check where a changed copy may be written.

Formats are parts: a file of this room with a `part` that is a `DataSource`. Content decides before the name does.
"""

from __future__ import annotations

import datetime
import decimal
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from smidgen.core.errors import DataError, MachineError
from smidgen.core.printable import HALVES, whole
from smidgen.core.rows import Row, RowCells, Text
from smidgen.data.columns import ColumnChoice, as_text, choose_input, choose_label, resolve
from smidgen.data.source import DataSettings, DataSource, ReadLimits, Record, Records, Rows, SourceContent, SourceFile
from smidgen.parts import registry
from smidgen.text import attribute_lists


def json_value(value: Any) -> Any:
    """Convert a cell of a Parquet type to JSON, also inside lists and objects: dates and times to ISO 8601, durations to seconds, decimals
    to the nearest number. Any other value stays unchanged."""
    if isinstance(value, dict):
        return {name: json_value(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    return value


STDIN = "-"
ATTRIBUTES = "attributes"
"""The column of a text that is made of several others."""
_HEAD = 64 << 10
_SAMPLE = 2000
_TEXTS_ALONE = ("csv", "xlsx")
"""Formats whose cells are all read as texts."""


@dataclass(frozen=True)
class DataTable:
    """An opened data file.

    Attributes:
        name: its name in messages.
        source: the format's part.
        columns: all columns, in the file's order.
        input: the chosen input column (two for text pairs), and how it was chosen.
        label: the chosen output column, or several; None if there is none.
        facts: how the file was read (encoding, delimiter, sheet).
        max_rows: rows after this many are not read; None for all.
    """

    name: str
    source: DataSource
    columns: tuple[str, ...]
    input: ColumnChoice
    label: ColumnChoice | None
    facts: Mapping[str, str]
    max_rows: int | None
    _read: Callable[[], Rows] = field(repr=False)
    _keep: object = field(default=None, repr=False)
    above: int = 0
    """Rows of the file above the first data row."""

    def records(self) -> Records:
        """Every row as (number from 1, cells by column), from the start at each call, in bounded memory. The first row that cannot be read
        raises DataError."""
        for number, record in self.each():
            if isinstance(record, DataError):
                raise record
            yield number, record

    def each(self) -> Rows:
        """The records, with an error instead of each row that cannot be read: one bad row does not lose the rest."""
        return islice(self._read(), self.max_rows)

    def rows(
        self,
        parse: Callable[[Any], Any] | None = None,
        bad: Callable[[DataError], None] | None = None,
        placed: Callable[[Text, Any], Any] | None = None,
    ) -> Iterator[Row]:
        """Every row in the pipeline's form.

        Args:
            parse: turns a raw output cell into the task's value and raises ValueError with a reason; without it cells stay raw.
            bad: called with the error of each unusable row, which is left out; without it the first such row raises.
            placed: joins a parsed output with its text and raises ValueError with a reason; see `core.parts.Task.place`.
        """
        for number, record in self.each():
            try:
                if isinstance(record, DataError):
                    raise record
                text = self.text(number, record)
                output = None if self.label is None else self._output(number, record, text, parse, placed)
            except DataError as error:
                if bad is None:
                    raise
                bad(error)
                continue
            yield Row(text, output, number)

    def with_attributes(self, names: Sequence[str]) -> DataTable:
        """The table with one input made of several columns, `name: Oak stool; colour: red`, in a further column of its records."""
        column = ATTRIBUTES
        while column in self.columns:
            column += "_"

        def read() -> Rows:
            for number, record in self._read():
                if not isinstance(record, DataError):
                    record = {**record, column: attribute_lists.written((name, _plain(record.get(name))) for name in names)}
                yield number, record

        return replace(self, input=ColumnChoice((column,), "given"), _read=read)

    def without_gaps(self, left_out: Counter[str]) -> DataTable:
        """The table without the rows in which a chosen column is empty. While it is read, these are counted in `left_out` by column."""
        names = (*self.input.names, *(self.label.names if self.label is not None else ()))

        def read() -> Rows:
            for number, record in self._read():
                empty = [] if isinstance(record, DataError) else [name for name in names if _is_empty(as_text(record.get(name)))]
                if empty:
                    left_out[empty[0]] += 1
                else:
                    yield number, record

        return replace(self, _read=read)

    def text(self, number: int, record: Record) -> Text:
        """The input of a record. Raises DataError if it is empty or not a text."""
        parts = [self._cell(number, record, name) for name in self.input.names]
        return parts[0] if len(parts) == 1 else (parts[0], parts[1])

    def _cell(self, number: int, record: Record, name: str) -> str:
        value = as_text(record.get(name))
        if _is_empty(value):
            raise self._error("data.text_is_empty", number, name, value="", name=self.name)
        if isinstance(value, (dict, list, bytes)):
            raise self._error("data.input_is_not_text", number, name, value=value)
        text = str(value)
        if "\0" in text or (not text.isascii() and HALVES.search(text)):
            raise self._error("data.text_holds_nul_or_half_character", number, name, value=whole(text))
        return text

    def _output(
        self,
        number: int,
        record: Record,
        text: Text,
        parse: Callable[[Any], Any] | None,
        placed: Callable[[Text, Any], Any] | None,
    ) -> Any:
        assert self.label is not None
        name, value = self.label.name, record.get(self.label.names[0])
        if any(_halved(record.get(column)) for column in self.label.names):
            raise self._error("data.output_holds_half_character", number, name, value=whole(str(value)))
        if len(self.label.names) > 1:
            cells = {column: record.get(column) for column in self.label.names}
            value = RowCells(cells) if self.source.name in _TEXTS_ALONE else json_value(cells)
        elif isinstance(value, dict | list):
            value = json_value(value)
        if parse is None:
            return value
        try:
            output = parse(value)
            return output if placed is None else placed(text, output)
        except (ValueError, OverflowError) as error:  # int(float("inf")) overflows
            raise self._error("data.output_cannot_be_used", number, name, value=value, error=error) from error

    def _error(self, code: str, row: int, column: str, **pieces: Any) -> DataError:
        return DataError(code, file=self.name, row=row, column=column, above=self.above, **pieces)


def open_table(
    path: str | Path,
    *,
    input: str | None = None,
    label: str | None = None,
    remembered: tuple[str | None, str | None] = (None, None),
    need_label: bool = True,
    settings: DataSettings | None = None,
    most_labels: int = 1,
    limits: ReadLimits | None = None,
) -> DataTable:
    """Open a data file; "-" is standard input.

    Args:
        path: the file.
        input: the input column, or two joined by a comma for text pairs; overrides `settings.input`.
        label: the output column, or several joined by commas; overrides `settings.label`.
        remembered: input and output columns that a bundle was built from, used if the file has them and no name is given.
        need_label: whether a file without an output column is an error.
        settings: limits, encoding and sheet.
        most_labels: most output columns; with several, an output is a dict of their cells by column name.
        limits: of memory, time and size; that of a cell is always `settings.max_cell`.

    Raises:
        DataError: with the file, the row and the column, for anything that cannot be read.
    """
    settings = settings or DataSettings()
    input, label = input or settings.input, label or settings.label
    origin, keep, source, content, sample = _opened(path, settings, limits)
    first = choose_input(content.columns, sample, origin.name, input, remembered[0])
    second = choose_label(content.columns, sample, origin.name, label, remembered[1], first.names, most_labels)
    if second is None and need_label:
        raise _no_label(origin, content)
    return DataTable(
        origin.name, source, content.columns, first, second, content.facts, settings.max_rows, content.records, keep, content.above
    )


def open_columns(
    path: str | Path, columns: str | None = None, settings: DataSettings | None = None, limits: ReadLimits | None = None
) -> DataTable:
    """Open a data file for its columns, without guessing: those named, joined by commas, or all. They are the table's `input`, and it has
    no output. Raises DataError for a file that cannot be read, or lacks a named column."""
    settings = settings or DataSettings()
    origin, keep, source, content, _ = _opened(path, settings, limits)
    names = content.columns if columns is None else resolve(columns, content.columns, origin.name, "--input", len(content.columns))
    how = "all" if columns is None else "given"
    return DataTable(
        origin.name,
        source,
        content.columns,
        ColumnChoice(names, how),
        None,
        content.facts,
        settings.max_rows,
        content.records,
        keep,
        content.above,
    )


def table_in_memory(name: str, records: Sequence[Record], input: tuple[str, ...], label: str) -> DataTable:
    """Make a table of records in memory, as if read from a JSONL file of this name."""

    def read() -> Rows:
        yield from enumerate(records, start=1)

    source: DataSource = registry.find("data", "jsonl")
    return DataTable(name, source, (*input, label), ColumnChoice(input, "given"), ColumnChoice((label,), "given"), {}, None, read)


def _opened(
    path: str | Path, settings: DataSettings, limits: ReadLimits | None = None
) -> tuple[SourceFile, object, DataSource, SourceContent, list[Record]]:
    """The file, the object that keeps it on disk, its format, its content, and its first rows, of which there is at least one."""
    origin, keep = _origin(path, settings, limits or ReadLimits())
    source = _source(origin)
    content = source.open(origin)
    most = origin.limits.columns
    if most is not None and len(content.columns) > most:
        first = ", ".join(content.columns[:3])
        raise origin.error("data.file_has_too_many_columns", value=first, columns=len(content.columns), most=most)
    seen = [record for _, record in islice(content.records(), _SAMPLE)]
    sample = [record for record in seen if not isinstance(record, DataError)]
    if seen and not sample:
        raise next(record for record in seen if isinstance(record, DataError))
    if not content.columns:
        raise origin.error("data.rows_have_no_columns", value="{}")
    if not sample:
        raise origin.error("data.file_holds_only_column_names", value=", ".join(content.columns))
    return origin, keep, source, content, sample


def sources() -> dict[str, DataSource]:
    """The formats that can be read, by name."""
    found = ((name, registry.find("data", name)) for name in registry.names("data"))
    return {name: part for name, part in found if isinstance(part, DataSource)}


def _source(origin: SourceFile) -> DataSource:
    """The format of a file, by content, then by name: so a damaged file is reported as the format it was meant to be."""
    known = sources()
    # CSV accepts any text, so it is asked last.
    order = sorted(known.values(), key=lambda source: source.name == "csv")
    for source in order:
        if source.recognises(origin):
            return source
    named = next((source for source in order if origin.suffix in source.suffixes), None)
    return named or known["csv"]


def _origin(path: str | Path, settings: DataSettings, limits: ReadLimits) -> tuple[SourceFile, object]:
    limits = replace(limits, cell=settings.max_cell)
    keep: object = None
    if str(path) == STDIN:
        folder = tempfile.TemporaryDirectory(prefix="smidgen-")
        file, name, keep = Path(folder.name) / "stdin", "standard input", folder
        with file.open("wb") as out:
            _copy(sys.stdin.buffer, out, limits.piped)
    else:
        file = Path(path).expanduser()
        name = file.name or str(file)
        _look_at(file, str(path), name)
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise _unopened(error, name) from error
    if not head:
        raise DataError("data.file_is_empty", file=name)
    return SourceFile(file, name, head, limits, settings.encoding, settings.sheet, settings.header), keep


def _look_at(file: Path, given: str, name: str) -> None:
    """Raise DataError for a path that is not a regular file, before opening it: to open a named pipe would block until somebody writes
    to it."""
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        raise DataError("data.there_is_no_such_file", value=given, file=name) from None
    except (OSError, ValueError) as error:
        raise _unopened(error, name) from error
    if stat.S_ISDIR(mode):
        raise DataError("data.this_is_folder_not_file", value=given, file=name)
    if not stat.S_ISREG(mode):
        raise DataError("data.this_is_pipe_or_device_not_file", value=given, file=name)


def _unopened(error: OSError | ValueError, name: str) -> DataError:
    if isinstance(error, OSError):
        plain = MachineError.told_by(error)
        return DataError(plain.message_code, value=plain.value, file=name, **plain.values)
    return DataError("data.file_cannot_be_opened", value=str(error), file=name)


def _plain(cell: Any) -> str:
    """A cell of an attribute as a text; empty where it holds none."""
    value = json_value(cell)
    if isinstance(value, list):
        return ", ".join(filter(None, map(_plain, value)))
    return "" if value is None or isinstance(value, dict | bytes) else str(value)


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _halved(value: Any) -> bool:
    """Whether a value holds a lone surrogate (half a character), at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if not one.isascii() and HALVES.search(one):
                return True
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
    return False


def _copy(source: BinaryIO, out: BinaryIO, most: int) -> None:
    """Copy standard input to disk, because finding encoding and columns needs several passes."""
    left = most
    while chunk := source.read(min(1 << 20, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise DataError("data.standard_input_is_too_long", most=most >> 30, file="standard input")
        out.write(chunk)
    out.flush()


def _no_label(origin: SourceFile, content: SourceContent) -> DataError:
    if len(content.columns) == 1:
        return origin.error("data.there_is_one_column_only", value=content.columns[0])
    return origin.error("data.no_column_looks_like_wanted_output", value=", ".join(content.columns))


def check_copy_target(table: DataTable, out: Path, originals: Iterable[Path], what: str) -> None:
    """Raise DataError if `out` is one of the `originals`, or its name belongs to another format than the table's. `what` names the copy in
    the message: "cleaned file"."""
    if any(original.exists() and out.exists() and original.samefile(out) for original in originals):
        raise DataError("data.copy_would_replace_original", value=str(out), copy=what, file=table.name)
    owner = next((source for source in sources().values() if out.suffix.lower() in source.suffixes), None)
    if out.is_dir() or (owner is not None and owner.name != table.source.name):
        wanted = table.source.suffixes[0]
        raise DataError("data.copy_must_have_format_of_original", value=str(out), copy=what, wanted=wanted, file=table.name)
