"""XLSX workbooks: the first worksheet that is not empty, or the named one."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from smidgen.core.errors import DataError
from smidgen.core.printable import whole
from smidgen.data import reader_process
from smidgen.data.columns import header
from smidgen.data.source import Record, Rows, SourceContent, SourceFile

_CHUNK = 1 << 20
_CELL = 32_767
"""Most characters that Excel stores in one cell."""
_ROWS = 1_048_575
_NOT_IN_A_NAME = re.compile(r"[\[\]:*?/\\]")
"""Characters that Excel forbids in a worksheet's name; other programs write them all the same."""


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
        sheet, frame = reader_process.workbook(origin)
        columns = header(frame.row(0), origin.name, origin.header)
        width = len(columns)

        def records() -> Rows:
            number = 0
            for cells in frame.slice(int(origin.header)).iter_rows(buffer_size=1024):
                if not any(cell is not None and cell.strip() for cell in cells):
                    continue
                number += 1
                if any(cells[width:]):
                    yield (
                        number,
                        origin.error(
                            f"the row has a cell beyond the {width} named columns",
                            value=str(next(cell for cell in cells[width:] if cell)),
                            todo="Give that column a name in the first row, or clear the cell.",
                            row=number,
                        ),
                    )
                    continue
                yield number, dict(zip(columns, cells, strict=False))

        return SourceContent(columns, {"sheet": sheet} if origin.header else {"sheet": sheet, "header": "none"}, records)

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
                    raise DataError(
                        "an XLSX worksheet has no room for more rows",
                        value=f"{count + 1:,} rows",
                        todo="Write CSV or Parquet.",
                        file=path.name,
                        row=count,
                    )
                for place, name in enumerate(columns):
                    value = record.get(name)
                    if isinstance(value, float) and math.isfinite(value):
                        sheet.write_number(count, place, value)
                    elif value is not None:
                        sheet.write_string(count, place, whole(str(value))[:_CELL])
        return count


def _bound(origin: SourceFile) -> None:
    """Unpack every member once, counting: a zip archive may state false sizes. Raises DataError past the bound."""
    total = 0
    try:
        with zipfile.ZipFile(origin.path) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    raise origin.error("the workbook is encrypted", value=member.filename, todo="Save it without a password.")
                with archive.open(member) as stream:
                    while chunk := stream.read(_CHUNK):
                        total += len(chunk)
                        if total > origin.limits.unpacked:
                            raise origin.error(
                                f"the workbook unpacks to more than {origin.limits.unpacked >> 20:,} MiB",
                                value=member.filename,
                                todo="Save it as CSV.",
                            )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise origin.error("the workbook is damaged", value=str(error), todo="Save it again as XLSX or CSV.") from error


part = XlsxSource()
