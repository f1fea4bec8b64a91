"""XLSX workbooks: the fullest worksheet, or the named one, from the row of its column names on."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from smidgen.core.errors import DataError
from smidgen.core.printable import whole
from smidgen.data import reader_process
from smidgen.data.columns import header, rows_above
from smidgen.data.source import Record, Rows, SourceContent, SourceFile

_CHUNK = 1 << 20
_CELL = 32_767
"""Most characters that Excel stores in one cell."""
_ROWS = 1_048_575
_NOT_IN_A_NAME = re.compile(r"[\[\]:*?/\\]")
"""Characters that Excel forbids in a worksheet's name; other programs write them all the same."""
_MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\d 00:00:00")
_TIME_OF_DAY = re.compile(r"1899-12-3[01] (\d\d:\d\d:\d\d)(?:\.\d+)?")
"""A time as a workbook keeps it: a part of the day before its first one."""
_LOOK: Final = 200
"""Rows among which the first of the table is looked for."""


class XlsxSource:
    """A source for Excel workbooks. Holds a worksheet in memory as a table of texts; Excel itself ends at 1,048,576 rows."""

    name = "xlsx"
    suffixes = (".xlsx", ".xlsm")

    def recognises(self, origin: SourceFile) -> bool:
        """Whether the file is a zip archive that holds a workbook."""
        if not origin.head.startswith(b"PK\x03\x04"):
            return False
        try:
            with zipfile.ZipFile(origin.path) as archive:
                return "xl/workbook.xml" in archive.namelist()
        except (zipfile.BadZipFile, OSError):
            return origin.suffix in self.suffixes

    def open(self, origin: SourceFile) -> SourceContent:
        """Bound the size after unpacking, choose the worksheet and read it, in a separate process."""
        _bound(origin)
        sheet, sheets, frame = reader_process.workbook(origin)
        blank = next((place for place, cells in enumerate(frame.iter_rows(buffer_size=1024)) if any(map(_filled, cells))), 0)
        frame = frame.slice(blank)
        above = rows_above(frame.head(_LOOK).rows())
        frame = frame.slice(above)
        places = [place for place, cell in enumerate(frame.row(0)) if _filled(cell) or any(map(_filled, frame.to_series(place)))]
        if not places:
            raise origin.error("data.worksheet_holds_no_rows", value=sheet)
        names = [cell if _filled(cell) else f"column_{place + 1}" for place, cell in enumerate(frame.row(0)) if place in places]
        columns = header(names, origin.name, origin.header)
        frame = frame.select(frame.columns[place] for place in places)

        def records() -> Rows:
            for number, cells in enumerate(frame.slice(int(origin.header)).iter_rows(buffer_size=1024), start=1):
                if any(map(_filled, cells)):
                    yield number, {name: _as_shown(cell) for name, cell in zip(columns, cells, strict=True)}

        facts = {"sheet": sheet, "sheets": "\n".join(sheets)} | ({"above": str(above)} if above else {})
        return SourceContent(columns, facts if origin.header else {**facts, "header": "none"}, records, blank + above + origin.header)

    def write(self, path: Path, columns: tuple[str, ...], records: Iterable[Record], facts: Mapping[str, str]) -> int:
        """Write one worksheet, every cell as text, so that no cell can become a formula; a float as a number."""
        import xlsxwriter

        count = 0
        with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
            sheet = book.add_worksheet(_NOT_IN_A_NAME.sub("_", facts.get("sheet", ""))[:31].strip("'") or None)
            for place, name in enumerate(columns):
                sheet.write_string(0, place, whole(name))
            for count, record in enumerate(records, start=1):
                if count > _ROWS:
                    raise DataError("data.xlsx_worksheet_has_no_room", count=count + 1, file=path.name, row=count)
                for place, name in enumerate(columns):
                    value = record.get(name)
                    if isinstance(value, float) and math.isfinite(value):
                        sheet.write_number(count, place, value)
                    elif value is not None:
                        sheet.write_string(count, place, whole(str(value))[:_CELL])
        return count


def _filled(cell: str | None) -> bool:
    return cell is not None and bool(cell.strip())


def _as_shown(cell: str | None) -> str | None:
    """A cell; of a date, which the reader gives with the time 00:00:00, the date alone, and of a time of day the time alone."""
    if cell is None:
        return None
    if time := _TIME_OF_DAY.fullmatch(cell):
        return time[1]
    return cell[:-9] if _MIDNIGHT.fullmatch(cell) else cell


def _bound(origin: SourceFile) -> None:
    """Unpack every member once, counting: a zip archive may state false sizes. Raises DataError past the bound."""
    total = 0
    try:
        with zipfile.ZipFile(origin.path) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    raise origin.error("data.workbook_is_encrypted", value=member.filename)
                with archive.open(member) as stream:
                    while chunk := stream.read(_CHUNK):
                        total += len(chunk)
                        if total > origin.limits.unpacked:
                            most = origin.limits.unpacked >> 20
                            raise origin.error("data.workbook_unpacks_to_too_much", value=member.filename, most=most)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise origin.error("data.workbook_is_damaged", value=str(error)) from error


part = XlsxSource()
