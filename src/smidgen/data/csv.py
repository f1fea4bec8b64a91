"""CSV and TSV files: find delimiter, quoting and encoding, and read row by row."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

from smidgen.core.errors import DataError
from smidgen.core.printable import HALVES
from smidgen.data.columns import header, rows_above
from smidgen.data.encoding import Encoding, find_encoding, open_text, undecodable
from smidgen.data.source import Record, Rows, SourceContent, SourceFile

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARS = 256 << 10
_SAMPLE_ROWS = 200
_EXCEL_HINT = re.compile(r"sep=(.)\r?\n?")
_FOREIGN = (
    (b"%PDF", "PDF"), (b"PK\x03\x04", "ZIP"), (b"\x1f\x8b", "gzip"), (b"\xd0\xcf\x11\xe0", "XLS/DOC"),
    (b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"SQLite format 3", "SQLite"), (b"\x7fELF", "ELF"),
    (b"Obj\x01", "Avro"), (b"ARROW1", "Arrow"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"ORC", "ORC"),
)  # fmt: skip
_BINARY = "binary"


@dataclass(frozen=True, slots=True)
class _CsvFormat:
    delimiter: str
    quoting: int
    hint: bool
    """Whether the first line is Excel's `sep=;`."""


class _Feed:
    """Hands lines to the CSV parser and counts their characters, so that every record has a bound."""

    def __init__(self, stream: TextIO, origin: SourceFile, names: list[str]) -> None:
        self._stream, self._origin, self._names = stream, origin, names
        self._most = 4 * origin.limits.cell
        self._taken: list[str] = []
        self._again: deque[str] = deque()
        self.row = 0
        self.used = 0
        self.odd = False

    def begin(self, row: int) -> None:
        """Start a new record."""
        self.row, self.used, self.odd = row, 0, False
        self._taken.clear()

    def give_back(self) -> None:
        """Read the lines after an unreadable record's first line again: an open quote in that line may have swallowed them."""
        self._again.extendleft(reversed(self._taken[1:]))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._stream.readline(self._most + 1)
        if not line:
            raise StopIteration
        self.used += len(line)
        self._taken.append(line)
        if self.used > self._most:
            self._skip_rest(line)
            open_quote = len(self._taken) > 1 or line.count('"') % 2
            raise self._origin.error(
                "data.row_holds_too_many_characters_and_quote_may_be_open" if open_quote else "data.row_holds_too_many_characters",
                value=line[:80],
                most=self._most,
                row=self.row,
                column=self._names[0] if len(self._names) == 1 else None,
            )
        if "\0" in line or (not line.isascii() and HALVES.search(line)):
            self.odd = True
        return line

    def _skip_rest(self, line: str) -> None:
        """Skip the rest of a line that is too long to be read whole."""
        while len(line) >= self._most and not line.endswith(("\n", "\r")):
            line = self._stream.readline(self._most)


class CsvSource:
    """A source for comma-separated values and similar formats."""

    name = "csv"
    suffixes = (".csv", ".tsv", ".tab", ".txt")

    def recognises(self, origin: SourceFile) -> bool:
        """Whether the file is text in which some delimiter gives more than one column."""
        return _foreign(origin.head) is None and bool(_columns_by_delimiter(_decoded_head(origin)))

    def open(self, origin: SourceFile) -> SourceContent:
        """Find encoding, delimiter, quoting and header."""
        format = _foreign(origin.head)
        if format == _BINARY:
            raise origin.error("data.file_is_binary", value=origin.name)
        if format is not None:
            raise origin.error("data.file_is_of_another_format", value=origin.name, format=format)
        encoding = find_encoding(origin)
        with open_text(origin, encoding) as stream:
            try:
                sample = stream.read(_SAMPLE_CHARS)
            except UnicodeError as error:
                raise undecodable(origin, encoding, 1, None, str(error)) from error
        dialect = _dialect(sample, origin.suffix)
        with open_text(origin, encoding) as stream:
            feed = _Feed(stream, origin, [])
            first = list(islice(_parsed(feed, dialect, origin, encoding, []), _SAMPLE_ROWS))
        if first and isinstance(first[0][1], DataError):
            raise first[0][1]
        if not first:
            raise origin.error("data.file_holds_no_rows", size=len(origin.head))
        rows = [[] if isinstance(cells, DataError) else cells for _, cells in first]
        above = rows_above(rows)
        if any(len(cells) != len(rows[above]) for cells in rows[:above]):
            above = 0  # lines of an export have as many cells as its table; this may be no table
        columns = header(rows[above], origin.name, origin.header)
        before = first[above][0] - int(not origin.header)
        origin = replace(origin, above=before + origin.header)

        def records() -> Rows:
            with open_text(origin, encoding) as stream:
                yield from _records(stream, dialect, origin, encoding, columns, before)

        facts = {"encoding": encoding.name, "delimiter": dialect.delimiter, "quoting": str(dialect.quoting)}
        if above:
            facts["above"] = str(above)
        return SourceContent(columns, facts if origin.header else {**facts, "header": "none"}, records, origin.above)

    def write(self, path: Path, columns: tuple[str, ...], records: Iterable[Record], facts: Mapping[str, str]) -> int:
        """Write with the delimiter that was read; in UTF-8 unless the file was UTF-16 or had a byte order mark."""
        encoding = facts.get("encoding", "utf-8")
        count = 0
        with path.open("w", encoding=encoding if encoding.startswith("utf-") else "utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=facts.get("delimiter", ","), lineterminator="\n")
            writer.writerow(columns)
            for record in records:
                writer.writerow(["" if record.get(name) is None else record[name] for name in columns])
                count += 1
        return count


def _parsed(
    feed: _Feed, dialect: _CsvFormat, origin: SourceFile, encoding: Encoding, names: list[str], before: int = 0
) -> Iterator[tuple[int, list[str] | DataError]]:
    """Records as lists of cells, each with its row: 1 is the first of the data, and the header and the `before` rows above it come first,
    from 0 down. Blank lines are left out, and count as rows: a spreadsheet shows them. An unreadable record gives its error instead. The
    caller may fill `names` after the header."""
    # The csv module's own limit is only ever raised: the feed bounds a cell.
    csv.field_size_limit(max(csv.field_size_limit(), 4 * origin.limits.cell + 1))
    if dialect.hint:
        next(feed)
    reader = csv.reader(feed, delimiter=dialect.delimiter, quoting=dialect.quoting, strict=True)  # type: ignore[arg-type]
    row = int(not origin.header) - before
    while True:
        feed.begin(row)
        try:
            cells = next(reader)
        except StopIteration:
            return
        except UnicodeError as error:
            raise undecodable(origin, encoding, row, None, str(error)) from error
        except csv.Error as error:
            feed.give_back()
            yield row, _malformed(str(error), origin, row)
        except DataError as error:
            feed.give_back()
            yield row, error
        else:
            if cells and (len(cells) > 1 or cells[0].strip()):
                fault = _fault(cells, names, origin, encoding, row) if feed.odd or feed.used > origin.limits.cell else None
                yield row, fault or cells
        row += 1


def _records(stream: TextIO, dialect: _CsvFormat, origin: SourceFile, encoding: Encoding, columns: tuple[str, ...], before: int) -> Rows:
    names = list(columns)
    parsed = _parsed(_Feed(stream, origin, names), dialect, origin, encoding, names, before)
    width = len(columns)
    for row, cells in parsed:
        if row < 1:
            continue
        if isinstance(cells, DataError):
            yield row, cells
        elif len(cells) < width or any(cell.strip() for cell in cells[width:]):
            yield row, _ragged(cells, width, dialect, origin, row)
        else:
            yield row, dict(zip(columns, cells, strict=False))


def _ragged(cells: list[str], width: int, dialect: _CsvFormat, origin: SourceFile, row: int) -> DataError:
    value = dialect.delimiter.join(cells)
    if width == 1:
        return origin.error("data.first_row_has_one_cell", value=value, cells=len(cells), row=row)
    return origin.error(
        "data.row_has_other_number_of_cells",
        value=value,
        cells=len(cells),
        width=width,
        delimiter=dialect.delimiter,
        name=origin.name,
        row=row,
    )


def _fault(cells: list[str], names: list[str], origin: SourceFile, encoding: Encoding, row: int) -> DataError | None:
    for place, cell in enumerate(cells):
        column = names[place] if place < len(names) else None
        if HALVES.search(cell):
            return undecodable(origin, encoding, row, column, cell)
        if "\0" in cell:
            return origin.error("data.cell_holds_nul", value=cell, row=row, column=column)
        if len(cell) > origin.limits.cell:
            return origin.too_long(len(cell), cell, row, column)
    return None


def _malformed(message: str, origin: SourceFile, row: int) -> DataError:
    if "unexpected end" in message:
        return origin.error("data.quote_is_never_closed", value=message, row=row)
    if "expected after" in message:
        return origin.error("data.cell_goes_on_after_closing_quote", value=message, row=row)
    return origin.error("data.row_is_not_csv", value=message, row=row)


def _foreign(head: bytes) -> str | None:
    """The format of a file that is no text."""
    for magic, format in _FOREIGN:
        if head.startswith(magic):
            return format
    if re.match(rb"\s*(<!doctype|<html|<\?xml)", head[:200], re.IGNORECASE):
        return "HTML/XML"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    zeros = head.count(0)
    wide = max(head[0::2].count(0), head[1::2].count(0))
    # UTF-16 has its zeros on one side only; a lone zero is reported later, with its row.
    if zeros > 0.01 * len(head) and (wide < 0.2 * len(head) or wide < 0.95 * zeros):
        return _BINARY
    control = sum(head.count(code) for code in range(1, 32) if code not in (9, 10, 11, 12, 13, 26, 27))
    return _BINARY if control > max(8, 0.05 * len(head)) else None


def _decoded_head(origin: SourceFile) -> str:
    if origin.head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return origin.head[: len(origin.head) // 2 * 2].decode("utf-16", errors="ignore")
    return origin.head.decode("utf-8-sig", errors="replace")


def _dialect(sample: str, suffix: str) -> _CsvFormat:
    hint = _EXCEL_HINT.match(sample)
    if hint:
        return _CsvFormat(hint[1], csv.QUOTE_MINIMAL, True)
    scores = _columns_by_delimiter(sample)
    if suffix in (".tsv", ".tab") and "\t" in scores:
        scores["\t"] += 1
    # The first of equals wins: comma, semicolon, tab, bar.
    delimiter = max(scores, key=lambda key: scores[key]) if scores else ("\t" if suffix in (".tsv", ".tab") else ",")
    quoting = csv.QUOTE_NONE if delimiter == "\t" and not _quotes_quote(sample) else csv.QUOTE_MINIMAL
    return _CsvFormat(delimiter, quoting, False)


def _columns_by_delimiter(sample: str) -> dict[str, float]:
    """For each delimiter that splits the first row: the share of the sample's rows with the first row's number of cells."""
    scores = {}
    for delimiter in _DELIMITERS:
        counts = _counts(sample, delimiter)
        if counts and counts[0] > 1:
            scores[delimiter] = sum(count == counts[0] for count in counts) / len(counts)
    return scores


def _counts(sample: str, delimiter: str) -> list[int]:
    counts = []
    csv.field_size_limit(max(csv.field_size_limit(), _SAMPLE_CHARS + 1))
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    for cells in reader:
        if cells:
            counts.append(len(cells))
        if len(counts) >= _SAMPLE_ROWS:
            return counts
    # The sample may end inside a row.
    return counts[:-1] if len(counts) > 1 and len(sample) >= _SAMPLE_CHARS else counts


def _quotes_quote(sample: str) -> bool:
    """Whether quotes in a TSV enclose cells: read so, all rows of the sample have the first row's number of cells."""
    widths: set[int] = set()
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter="\t", strict=True)
    try:
        for _ in range(_SAMPLE_ROWS):
            cells = next(reader, None)
            if cells is None:
                break
            widths |= {len(cells)} if cells else set()
    except csv.Error as error:
        # The sample may end inside a quoted cell.
        return len(sample) >= _SAMPLE_CHARS and "unexpected end" in str(error) and len(widths) == 1
    return len(widths) == 1


part = CsvSource()
