"""Texts that people are to audit, as a CSV that a spreadsheet opens: `id`, `text`, and an empty `output` for them to fill in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from smidgen.core.errors import DataError
from smidgen.store import atomic
from smidgen.store.traffic.given import Given

_COLUMNS = ("id", "text", "output")
_MOST_BYTES = 256 * 1024 * 1024


def write(waiting: Iterable[Given], file: Path) -> int:
    """Write those that wait; how many. What the model answered is not in it. A text that a spreadsheet would take for a formula begins with
    an apostrophe. Raises DataError where the file cannot be written."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    count = 0
    for given in waiting:
        writer.writerow([given.id, f"'{given.input}" if given.input[:1] in "=+-@\t\r" else given.input, ""])
        count += 1
    try:
        atomic.write(file, stream.getvalue().encode("utf-8-sig"), mode=0o600)
    except OSError as error:
        raise DataError("the file cannot be written", value=error.strerror, todo="Name one that may be.", file=str(file)) from None
    return count


def read(file: Path) -> dict[str, str]:
    """What was filled in, by the request's id; rows whose output is empty are left out. Raises DataError for a file that cannot be read, or
    lacks a column, or has two outputs for one request."""
    again = "Write one with --export, and fill in its column `output`."
    try:
        with file.open("rb") as binary:
            content = binary.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it is over {_MOST_BYTES:,} bytes")
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError("the file cannot be read", value=str(error), todo=again, file=str(file)) from None
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        if row.get("id") is None or "output" not in row:
            named = ", ".join(map(str, row))
            raise DataError("a column is missing", value=f"id and output are needed, there are {named}", todo=again, file=str(file))
        said = (row["output"] or "").strip()
        if said and found.setdefault(row["id"], said) != said:
            raise DataError("one request has two outputs", value=row["id"], todo="Keep one of the rows.", file=str(file), row=number)
    return found
