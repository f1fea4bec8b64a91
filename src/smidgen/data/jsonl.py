"""JSONL: one object a line. A JSON array of objects is read too, if it is small enough to be read whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from smidgen.data.encoding import ESCAPED, Encoding, find_encoding, open_text, undecodable
from smidgen.data.source import Content, Origin, Record, Records

_LOOK = 1000
_ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*[{\]]")
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*([\[{])")


class Jsonl:
    """JSON lines, or one JSON array."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")

    def recognises(self, origin: Origin) -> bool:
        """Whether the first line is a JSON object, or the file starts as an array of objects."""
        start = _START.match(origin.head)
        if not start:
            return False
        if start[1] == b"[":
            return origin.suffix in self.suffixes or bool(_ARRAY.match(origin.head))
        if b"\n" not in origin.head:
            return True
        try:
            json.loads(origin.head.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", errors="replace"))
        except (ValueError, RecursionError):
            return origin.suffix in self.suffixes
        return True

    def open(self, origin: Origin) -> Content:
        """Find the columns: the keys of the first thousand rows, in order of appearance."""
        encoding = find_encoding(origin)
        start = _START.match(origin.head)
        array = bool(start and start[1] == b"[")

        def records() -> Records:
            with open_text(origin, encoding) as stream:
                yield from (_array(stream, origin) if array else _lines(stream, origin, encoding))

        columns: dict[str, None] = {}
        for _, record in islice(records(), _LOOK):
            columns.update(dict.fromkeys(record))
        return Content(tuple(columns), {"encoding": encoding.name, "layout": "array" if array else "lines"}, records)

    def write(self, path: Path, columns: tuple[str, ...], records: Iterable[Record], facts: Mapping[str, str]) -> int:
        """Write one object a line, or one array if that is what was read; always UTF-8."""
        array = facts.get("layout") == "array"
        count = 0
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write("[\n" if array else "")
            for count, record in enumerate(records, start=1):
                line = json.dumps(record, ensure_ascii=False)
                file.write((",\n" if count > 1 else "") + line if array else line + "\n")
            file.write("\n]\n" if array else "")
        return count


def _lines(stream: TextIO, origin: Origin, encoding: Encoding) -> Records:
    most = 4 * origin.limits.cell
    row = 0
    while True:
        try:
            line = stream.readline(most + 1)
        except UnicodeError as error:
            raise undecodable(origin, encoding, row + 1, None, str(error)) from error
        if not line:
            return
        if not line.strip():
            continue
        row += 1
        if len(line) > most:
            raise origin.error(
                f"the line holds more than {most:,} characters",
                value=line[:80],
                todo="Shorten it, or raise data.max_cell.",
                row=row,
            )
        if not line.isascii() and ESCAPED.search(line):
            raise undecodable(origin, encoding, row, None, line)
        yield row, _object(_loaded(line, origin, row), origin, row)


def _array(stream: TextIO, origin: Origin) -> Records:
    text = stream.read(origin.limits.array + 1)
    if len(text) > origin.limits.array:
        raise origin.error(
            f"a JSON array is read whole, and this one holds more than {origin.limits.array:,} characters",
            value=origin.name,
            todo="Save it as JSONL: one object a line.",
        )
    if ESCAPED.search(text):
        raise origin.error("the file mixes text encodings", value=origin.name, todo="Save it as UTF-8.")
    rows = _loaded(text.lstrip("\ufeff"), origin, None)
    for row, value in enumerate(rows, start=1):
        yield row, _object(value, origin, row)


def _loaded(text: str, origin: Origin, row: int | None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise origin.error(
            "this is not JSON" if row is None else "the line is not JSON",
            value=text[:120].strip(),
            todo=f"Correct it ({error}); a line must hold one whole object.",
            row=row,
        ) from error


def _object(value: Any, origin: Origin, row: int) -> Record:
    if not isinstance(value, dict):
        raise origin.error(
            "the row is not an object",
            value=str(value)[:120],
            todo='Write rows such as {"input": "...", "output": "..."}.',
            row=row,
        )
    for column, cell in value.items():
        if isinstance(cell, str) and len(cell) > origin.limits.cell:
            raise origin.too_long(len(cell), cell, row, column)
    return value


part = Jsonl()
