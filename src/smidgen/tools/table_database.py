"""A SQLite database made from CSV tables, so that a shop without a database can have tools that look things up; and what one holds."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

from smidgen.core.errors import DataError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MOST_COLUMNS = 200
_MOST_TABLES = 100
_MOST_ROWS = 2_000_000
_WHOLE, _DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,15})"), re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?")


def database_from_tables(tables: Sequence[Path], out: Path) -> Path:
    """Write a database with a table for each CSV file, named as the file; returns its path. An existing one is replaced whole.

    A column of numbers only becomes a column of numbers, unless one has a leading zero. An empty cell is NULL. The first column is indexed.
    Raises DataError for a table that cannot be read.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    os.close(handle)
    try:
        with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as base:
            base.execute("BEGIN")
            for table in tables:
                _add(base, table)
            base.execute("COMMIT")
        Path(made).replace(out)
    finally:
        Path(made).unlink(missing_ok=True)
    return out


def tables_in(database: Path) -> dict[str, list[str]]:
    """The columns of each table and view of a SQLite database; empty for a file that is none."""
    try:
        with contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as base:
            named = base.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name").fetchmany(_MOST_TABLES)
            tables = [str(name) for (name,) in named if not str(name).startswith("sqlite_")]
            return {name: [str(row[0]) for row in base.execute("SELECT name FROM pragma_table_info(?)", (name,))] for name in tables}
    except sqlite3.Error:
        return {}


def _add(base: sqlite3.Connection, file: Path) -> None:
    name = _checked(file.stem, file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for _, row in zip(range(_MOST_ROWS + 2), csv.reader(stream), strict=False)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("tools.table_cannot_be_read", value=error, file=file.name) from None
    if len(rows) < 2 or len(rows) > _MOST_ROWS + 1:
        raise DataError("tools.table_has_no_rows_or_too_many", value=len(rows), most_rows=_MOST_ROWS, file=file.name)
    columns = [_checked(column, file) for column in rows[0]]
    if len(set(columns)) != len(columns) or len(columns) > _MOST_COLUMNS:
        raise DataError("tools.columns_must_have_different_names", value=", ".join(columns)[:200], file=file.name)
    for number, row in enumerate(rows[1:], 1):
        if len(row) != len(columns):
            raise DataError("tools.row_has_another_number_of_cells", value=len(row), file=file.name, row=number)
    kinds = [_kind([row[place] for row in rows[1:]]) for place in range(len(columns))]
    stated = ", ".join(f'"{column}" {kind}' for column, kind in zip(columns, kinds, strict=True))
    base.execute(f'CREATE TABLE "{name}" ({stated})')
    marks = ", ".join("?" * len(columns))
    base.executemany(f'INSERT INTO "{name}" VALUES ({marks})', [[cell if cell.strip() else None for cell in row] for row in rows[1:]])
    base.execute(f'CREATE INDEX "{name}_{columns[0]}" ON "{name}" ("{columns[0]}")')


def _checked(name: str, file: Path) -> str:
    made = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
    if not _NAME.fullmatch(made):
        raise DataError("tools.table_and_column_name_must_be_plain", value=name, file=file.name)
    return made


def _kind(cells: Sequence[str]) -> str:
    given = [cell.strip() for cell in cells if cell.strip()]
    if given and all(_WHOLE.fullmatch(cell) for cell in given):
        return "INTEGER"
    if given and all(_DECIMAL.fullmatch(cell) and not re.match(r"-?0[0-9]", cell) for cell in given):
        return "REAL"
    return "TEXT"
