"""Parquet files, read in slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smidgen.core.errors import DataError
from smidgen.data import reader_process
from smidgen.data.columns import header
from smidgen.data.source import Record, Rows, SourceContent, SourceFile

if TYPE_CHECKING:
    import polars


_SLICE = 20_000


class ParquetSource:
    """Apache Parquet."""

    name = "parquet"
    suffixes = (".parquet", ".pq")

    def recognises(self, origin: SourceFile) -> bool:
        """Whether the file starts with Parquet's magic bytes."""
        return origin.head.startswith(b"PAR1")

    def open(self, origin: SourceFile) -> SourceContent:
        """Read the schema."""
        import polars

        reader_process.try_parquet(origin)
        # A panic of polars is not a subclass of Exception.
        faults = (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, ValueError, OverflowError)
        try:
            frame = polars.scan_parquet(origin.path, glob=False, hive_partitioning=False)
            names = frame.collect_schema().names()
        except faults as error:
            raise _broken(origin, error) from error
        columns = header(names, origin.name)

        def records() -> Rows:
            row = 0
            while True:
                try:
                    rows = _rows(frame.slice(row, _SLICE).collect())
                except faults as error:
                    raise _broken(origin, error) from error
                for cells in rows:
                    row += 1
                    record = dict(zip(columns, cells, strict=True))
                    yield row, _too_long(record, origin, row) or record
                if len(rows) < _SLICE:
                    return

        return SourceContent(columns, {}, records)

    def write(self, path: Path, columns: tuple[str, ...], records: Iterable[Record], facts: Mapping[str, str]) -> int:
        """Write one Parquet file. Holds all of it in memory once."""
        import polars

        rows = [{name: record.get(name) for name in columns} for record in records]
        frame: polars.DataFrame = polars.DataFrame(rows, schema=list(columns), infer_schema_length=None)
        frame.write_parquet(path)
        return len(rows)


def _rows(frame: polars.DataFrame) -> list[tuple[Any, ...]]:
    """The rows of a slice. Python knows the years 1 to 9999; if a date lies outside them, the dates of the slice are read as texts."""
    import polars
    import polars.selectors

    try:
        return frame.rows()
    except (ValueError, OverflowError, polars.exceptions.PanicException):
        dates = polars.selectors.date() | polars.selectors.datetime()
        return frame.with_columns(dates.cast(polars.String, strict=False)).rows()


def _too_long(record: dict[str, Any], origin: SourceFile, row: int) -> DataError | None:
    for column, cell in record.items():
        if isinstance(cell, (str, bytes)) and len(cell) > origin.limits.cell:
            return origin.too_long(len(cell), str(cell[:80]), row, column)
    return None


def _broken(origin: SourceFile, error: BaseException) -> DataError:
    lines = str(error).splitlines() or [type(error).__name__]
    return origin.error("data.parquet_file_cannot_be_read", value=lines[0])


part = ParquetSource()
