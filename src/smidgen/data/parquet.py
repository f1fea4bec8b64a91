"""Parquet, read in slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smidgen.core.errors import DataError
from smidgen.data.columns import header
from smidgen.data.source import Content, Origin, Record, Records

if TYPE_CHECKING:
    import polars

_SLICE = 20_000


class Parquet:
    """Apache Parquet."""

    name = "parquet"
    suffixes = (".parquet", ".pq")

    def recognises(self, origin: Origin) -> bool:
        """Whether it starts with Parquet's magic bytes."""
        return origin.head.startswith(b"PAR1")

    def open(self, origin: Origin) -> Content:
        """Read the schema."""
        import polars

        try:
            frame = polars.scan_parquet(origin.path, glob=False, hive_partitioning=False)
            names = frame.collect_schema().names()
        except (polars.exceptions.PolarsError, OSError) as error:
            raise _broken(origin, error) from error
        columns = header(names, origin.name)

        def records() -> Records:
            row = 0
            while True:
                try:
                    rows = frame.slice(row, _SLICE).collect().rows()
                except (polars.exceptions.PolarsError, OSError) as error:
                    raise _broken(origin, error) from error
                for cells in rows:
                    row += 1
                    yield row, _checked(dict(zip(columns, cells, strict=True)), origin, row)
                if len(rows) < _SLICE:
                    return

        return Content(columns, {}, records)

    def write(self, path: Path, columns: tuple[str, ...], records: Iterable[Record], facts: Mapping[str, str]) -> int:
        """Write one Parquet file. All of it is held in memory once."""
        import polars

        rows = [{name: record.get(name) for name in columns} for record in records]
        frame: polars.DataFrame = polars.DataFrame(rows, schema=list(columns), infer_schema_length=None)
        frame.write_parquet(path)
        return len(rows)


def _checked(record: dict[str, Any], origin: Origin, row: int) -> Record:
    for column, cell in record.items():
        if isinstance(cell, (str, bytes)) and len(cell) > origin.limits.cell:
            raise origin.too_long(len(cell), str(cell[:80]), row, column)
    return record


def _broken(origin: Origin, error: Exception) -> DataError:
    return origin.error("the Parquet file cannot be read", value=str(error).splitlines()[0], todo="Write it again; it may be cut short.")


part = Parquet()
