"""The interface of a data source: a part that reads one file format into records, and writes them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from smidgen.core.errors import DataError
from smidgen.core.settings import Settings, setting


class DataSettings(Settings):
    """The files of examples, their columns, and the share held out."""

    train: str | None = setting(None, "File of examples to learn from: CSV, TSV, JSONL, Parquet or XLSX.", flag="--data", also="--orders")
    test: str | None = setting(
        None,
        "File of examples that are only ever measured on; without it, a part of the training file is kept apart.",
        flag="--test",
        with_data=True,
    )
    unlabelled: str | None = setting(
        None,
        "File of inputs without outputs: a teacher labels them (`[data.teacher]`). Outputs that stand there are not read.",
        flag="--unlabelled",
        with_data=True,
    )
    select: int | None = setting(
        None,
        "Learn from this many rows, chosen to cover the rest: of a large file, those that teach most (default: all).",
        flag="--select",
        ge=2,
    )
    input: str | None = setting(
        None, "Column of the text; two names joined by a comma for text pairs (`question,passage`).", flag="--input"
    )
    label: str | None = setting(
        None, "Column of the wanted output. For the task extract: several, one for each field, joined by commas.", flag="--label"
    )
    holdout: float = setting(0.1, "Share of the training rows kept apart for choosing when to stop and for calibration.", gt=0.0, le=0.5)
    test_share: float = setting(0.15, "Share of the rows kept apart as the test set where no test file is given.", gt=0.0, le=0.5)
    max_rows: int | None = setting(None, "Read at most this many rows of a file.", ge=1)
    max_cell: int = setting(1_000_000, "Most characters that one cell may hold.", ge=1_000, le=100_000_000)
    dedupe: bool = setting(True, "Train on one copy of rows that repeat an input and its output exactly.")
    encoding: str | None = setting(None, "Text encoding of the files, where it is not found by itself (`cp1252`).", with_data=True)
    sheet: str | None = setting(None, "Worksheet of an XLSX file; the one with the most filled cells unless named.", with_data=True)
    header: bool = setting(True, "The first row of a CSV or XLSX file names the columns. Without: they are called `column_1`, `column_2`.")
    licence: str | None = setting(None, "Licence of the data (an SPDX identifier, or a sentence), for the model card.", with_data=True)


SETTINGS = DataSettings


Record: TypeAlias = dict[str, Any]
"""Column name to raw cell: text in CSV and XLSX, any JSON value in JSONL, any scalar or list in Parquet."""

Records: TypeAlias = Iterator[tuple[int, Record]]
"""Data rows with their number, counted from 1; a header and blank lines are not counted."""

Rows: TypeAlias = Iterator[tuple[int, Record | DataError]]
"""Records, with an error instead of each row that cannot be read; reading continues after it."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """The most memory and time that reading a data file may take.

    Attributes:
        cell: most characters of one cell; a row may hold four times as many.
        array: most bytes of a JSON array, which is read whole.
        depth: deepest nesting of lists and objects in a JSON row.
        unpacked: most bytes that a compressed workbook may unpack to.
        memory: most bytes of memory for the process that reads a workbook.
        seconds: its longest time.
        piped: most bytes taken from standard input.
        columns: most columns; None for any number.
    """

    cell: int = 1_000_000
    array: int = 64 << 20
    depth: int = 64
    unpacked: int = 1 << 30
    memory: int = 8 << 30
    seconds: float = 300.0
    piped: int = 4 << 30
    columns: int | None = None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to be read.

    Attributes:
        path: its path on disk.
        name: its name in messages.
        head: its first bytes (64 KiB, or all of it).
        limits: the most that reading it may take.
        encoding: the text encoding, if the user has named it.
        sheet: the worksheet, if the user has named it.
        header: whether the first row of a table of cells names its columns.
        above: rows of the file above the first data row, once they are known: in a table of cells the header.
    """

    path: Path
    name: str
    head: bytes
    limits: ReadLimits = field(default_factory=ReadLimits)
    encoding: str | None = None
    sheet: str | None = None
    header: bool = True
    above: int = 0

    @property
    def suffix(self) -> str:
        """The end of the name, in lower case, with its dot."""
        return Path(self.name).suffix.lower()

    def error(self, code: str, /, *, row: int | None = None, column: str | None = None, **pieces: Any) -> DataError:
        """An error about this file; row 0 is the header."""
        return DataError(code, file=self.name, row=row or None, column=column, above=self.above, **pieces)

    def too_long(self, length: int, start: str, row: int, column: str | None) -> DataError:
        """The error for a cell of more characters than are read; `start` is its beginning."""
        return self.error(
            "data.cell_holds_too_many_characters",
            value=start[:80],
            length=length,
            most=self.limits.cell,
            row=row,
            column=column,
        )


@dataclass(frozen=True, slots=True)
class SourceContent:
    """An opened file: its columns, and how to read its rows.

    Attributes:
        columns: names in the file's order.
        facts: how it was read (`encoding`, `delimiter`, `sheet`; `header` where it has none): shown to the user, and used by
            `write` to write in the same way.
        records: reads the rows from the start; may be called again. A row that cannot be read gives an error instead.
        above: rows of the file above the first data row.
    """

    columns: tuple[str, ...]
    facts: Mapping[str, str]
    records: Callable[[], Rows]
    above: int = 0


@runtime_checkable
class DataSource(Protocol):
    """A file format. `suffixes` are the ends of names that suggest it."""

    name: str
    suffixes: tuple[str, ...]

    def recognises(self, origin: SourceFile) -> bool:
        """Whether the first bytes (not the name) show that the file is of this format."""
        ...

    def open(self, origin: SourceFile) -> SourceContent:
        """Find the columns. Raises DataError for a file that cannot be read, here or while its records are read. One unreadable row raises
        nothing: it is an error among the records."""
        ...

    def write(self, path: Path, columns: tuple[str, ...], records: Iterable[Record], facts: Mapping[str, str]) -> int:
        """Write records in this format, with the settings in `facts`; returns their number."""
        ...
