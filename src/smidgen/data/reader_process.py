"""Read workbooks, and try Parquet files, in a separate process with bounds on its memory and time.

Both readers can kill the whole process, and Python cannot catch that. The workbook reader allocates a whole worksheet: a file of a few
kilobytes whose last cell is XFD1048576 asks for 549 GB. The Parquet reader aborts on some damaged files (1 of 1,600 with a few bytes
changed at random), and panics on others. Here an abort, a panic or a limit ends the child, and the parent raises a DataError.
"""

from __future__ import annotations

import difflib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smidgen.core.printable import whole
from smidgen.data.source import SourceFile
from smidgen.machine.child_process import ask_child, bound_process
from smidgen.machine.memory import total_mb

if TYPE_CHECKING:
    import polars

_CELLS = "cells.arrow"
_LEAST_MEMORY = 1 << 30
_WORKBOOK, _PARQUET = "workbook", "parquet"
_NO_ROWS, _UNREADABLE, _NO_SHEET = "no rows", "unreadable", "no sheet"


def workbook(origin: SourceFile) -> tuple[str, list[str], polars.DataFrame]:
    """The name of the worksheet, the names of all, and its cells as texts: the named worksheet, or the one with the most filled cells.

    Raises DataError for a workbook that cannot be read, or not within the limits.
    """
    import polars

    with tempfile.TemporaryDirectory(prefix="smidgen-") as folder:
        answer = _ask_reader(origin, {"kind": _WORKBOOK, "sheet": origin.sheet, "folder": folder})
        names = ", ".join(answer.get("sheets", ()))
        if answer.get("fault") == _NO_ROWS:
            raise origin.error("data.workbook_holds_no_rows", value=names)
        if answer.get("fault") == _NO_SHEET:
            close = difflib.get_close_matches(str(origin.sheet), answer["sheets"], n=1)
            if close:
                raise origin.error("data.no_such_worksheet_but_one_is_near", value=origin.sheet, near=close[0], names=names)
            raise origin.error("data.no_such_worksheet", value=origin.sheet, names=names)
        if answer.get("fault") == _UNREADABLE:
            raise origin.error("data.workbook_cannot_be_read", value=answer["error"])
        return answer["sheet"], answer["sheets"], polars.read_ipc(io.BytesIO((Path(folder) / _CELLS).read_bytes()))


def try_parquet(origin: SourceFile) -> None:
    """Read a Parquet file once from start to end, and keep nothing. Raises DataError if it cannot be read."""
    answer = _ask_reader(origin, {"kind": _PARQUET})
    if answer.get("fault") == _UNREADABLE:
        raise origin.error("data.parquet_file_cannot_be_read", value=answer["error"])


def _ask_reader(origin: SourceFile, asked: dict[str, Any]) -> dict[str, Any]:
    """The child's answer. Raises DataError if it gives none."""
    memory = max(_LEAST_MEMORY, min(origin.limits.memory, int(total_mb() * 1e6)))
    parquet = asked["kind"] == _PARQUET
    asked |= {"file": str(origin.path), "memory": memory, "seconds": origin.limits.seconds}
    try:
        code, sent = ask_child(__name__, asked, origin.limits.seconds, group=False)
    except subprocess.TimeoutExpired:
        raise origin.error(
            "data.parquet_file_is_not_read_in_time" if parquet else "data.workbook_is_not_read_in_time",
            value=origin.name,
            seconds=f"{origin.limits.seconds:g}",
        ) from None
    if code:
        raise origin.error(
            "data.parquet_file_breaks_its_reader" if parquet else "data.workbook_breaks_its_reader",
            memory=round(memory / 1e9, 1),
            returncode=code,
        )
    answer: dict[str, Any] = json.loads(sent)
    return answer


def _main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    bound_process(asked["memory"], asked["seconds"])
    import polars

    try:
        answer = _read_workbook(asked) if asked["kind"] == _WORKBOOK else _read_parquet(asked)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError, ValueError) as error:
        answer = {"fault": _UNREADABLE, "error": whole((str(error).splitlines() or [type(error).__name__])[0])}
    sys.stdout.write(json.dumps(answer))


def _read_workbook(asked: dict[str, Any]) -> dict[str, Any]:
    import fastexcel

    try:
        book = fastexcel.read_excel(asked["file"])
        sheets = list(book.sheet_names)
        told: dict[str, Any] = {"sheets": [whole(name) for name in sheets]}
        if asked["sheet"] and asked["sheet"] not in sheets:
            return {**told, "fault": _NO_SHEET}
        most = 0
        for sheet in [asked["sheet"]] if asked["sheet"] else sheets:
            frame = book.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string").to_polars()
            filled = sum(series.count() for series in frame)
            if filled > most:
                frame.write_ipc(Path(asked["folder"]) / _CELLS)
                most, told["sheet"] = filled, sheet
    except fastexcel.FastExcelError as error:
        raise ValueError(str(error)) from error
    return told if most else {**told, "fault": _NO_ROWS}


def _read_parquet(asked: dict[str, Any]) -> dict[str, Any]:
    import polars

    polars.scan_parquet(asked["file"], glob=False, hive_partitioning=False).sink_ipc(os.devnull)
    return {}


if __name__ == "__main__":
    _main()
