"""Reads a workbook in a process of its own, which may take so much memory and time and no more.

The reader of workbooks lays a worksheet out as a whole: a file of a few kilobytes whose last cell is XFD1048576 asks for 549 GB, and where
that is refused the process is aborted, which nothing in Python can catch. Here an abort, a panic or a limit ends the child, and the parent
says so in words.
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
from smidgen.data.source import Origin
from smidgen.machine.memory import total_mb

if TYPE_CHECKING:
    import polars

_CELLS = "cells.arrow"
_LEAST_MEMORY = 1 << 30
_NO_ROWS, _UNREADABLE, _NO_SHEET = "no rows", "unreadable", "no sheet"


def read(origin: Origin) -> tuple[str, polars.DataFrame]:
    """The name of the worksheet and its cells as texts: the one that is named, or the first that is not empty.

    Raises DataError for a workbook that cannot be read, or not within the limits.
    """
    import polars

    memory = max(_LEAST_MEMORY, min(origin.limits.memory, int((total_mb() or origin.limits.memory / 1e6) * 1e6)))
    with tempfile.TemporaryDirectory(prefix="smidgen-") as folder:
        asked = {"file": str(origin.path), "sheet": origin.sheet, "folder": folder, "memory": memory, "seconds": origin.limits.seconds}
        environment = {**os.environ, "POLARS_MAX_THREADS": "1", "RAYON_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", __name__],  # -P: no imports from the folder that the user stands in
                input=json.dumps(asked).encode("ascii"),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=origin.limits.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise origin.error(
                f"the workbook is not read after {origin.limits.seconds:g} s", value=origin.name, todo="Save it as CSV."
            ) from None
        if done.returncode:
            raise origin.error(
                f"the workbook cannot be read within {memory / 1e9:.1f} GB of memory",
                value=f"its reader ended with {done.returncode}",
                todo="Clear cells that lie far outside the table (Ctrl-End shows the last one), or save it as CSV.",
            )
        told = json.loads(done.stdout)
        _raise(origin, told)
        return told["sheet"], polars.read_ipc(io.BytesIO((Path(folder) / _CELLS).read_bytes()))


def _raise(origin: Origin, told: dict[str, Any]) -> None:
    names = ", ".join(told.get("sheets", ()))
    if told.get("fault") == _NO_ROWS:
        raise origin.error("the workbook holds no rows", value=names, todo="Give a file with a header and rows.")
    if told.get("fault") == _NO_SHEET:
        close = difflib.get_close_matches(str(origin.sheet), told["sheets"], n=1)
        meant = f"Did you mean {close[0]!r}? " if close else ""
        raise origin.error("no such worksheet", value=origin.sheet, todo=f"{meant}There are: {names}.")
    if told.get("fault") == _UNREADABLE:
        raise origin.error("the workbook cannot be read", value=told["said"], todo="Save it again as XLSX or CSV.")


def _limit(memory: int, seconds: float) -> None:
    """Bound this process, where the system can."""
    try:
        import resource
    except ImportError:  # Windows: the parent's timeout is left, and an abort is one of this process
        return
    for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, int(seconds) + 1), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    _limit(asked["memory"], asked["seconds"])
    import fastexcel
    import polars

    try:
        book = fastexcel.read_excel(asked["file"])
        sheets = list(book.sheet_names)
        told: dict[str, Any] = {"sheets": [whole(name) for name in sheets]}
        if asked["sheet"] and asked["sheet"] not in sheets:
            told["fault"] = _NO_SHEET
        else:
            for sheet in [asked["sheet"]] if asked["sheet"] else sheets:
                frame = book.load_sheet(sheet, header_row=None, dtypes="string").to_polars()
                if frame.height:
                    told["sheet"] = sheet
                    frame.write_ipc(Path(asked["folder"]) / _CELLS)
                    break
            else:
                told["fault"] = _NO_ROWS
    except (fastexcel.FastExcelError, polars.exceptions.PolarsError, ValueError) as error:
        told = {"fault": _UNREADABLE, "said": whole((str(error).splitlines() or [type(error).__name__])[0])}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    _main()
