"""JSONL files: one object a line. A JSON array of objects is read too, if it is small enough to be read whole.

Chats, as large models are trained on (`{"messages": [{"role": "user", "content": "..."}, ...]}`), become two columns: `input`, what was
asked, and `output`, the last answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from smidgen.core.errors import DataError
from smidgen.core.printable import HALVES, printable_json, whole
from smidgen.data.encoding import Encoding, find_encoding, open_text, undecodable
from smidgen.data.source import Record, Rows, SourceContent, SourceFile

_LOOK = 1000
_ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*[{\]]")
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*([\[{])")


class JsonlSource:
    """A source for JSON lines, or one JSON array."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")

    def recognises(self, origin: SourceFile) -> bool:
        """Whether the file starts as an array of objects, or a line is an object: the first, or in a file that seems to be meant as JSON
        a later one."""
        start = _START.match(origin.head)
        meant = origin.suffix in self.suffixes
        if start and start[1] == b"[":
            return meant or bool(_ARRAY.match(origin.head))
        if start and b"\n" not in origin.head:
            return True
        lines = (line for line in origin.head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip())
        first = next(lines, b"")
        if start and (meant or _is_object(first)):
            return True
        return bool(start or meant) and any(map(_is_object, islice(lines, _LOOK)))

    def open(self, origin: SourceFile) -> SourceContent:
        """Find the columns: the keys of the first thousand rows, in order of appearance."""
        encoding = find_encoding(origin)
        start = _START.match(origin.head)
        array = bool(start and start[1] == b"[")

        def records() -> Rows:
            with open_text(origin, encoding) as stream:
                yield from (_array(stream, origin) if array else _lines(stream, origin, encoding))

        columns: dict[str, None] = {}
        for _, record in islice(records(), _LOOK):
            columns.update({} if isinstance(record, DataError) else dict.fromkeys(record))
        return SourceContent(tuple(columns), {"encoding": encoding.name, "layout": "array" if array else "lines"}, records)

    def write(self, path: Path, columns: tuple[str, ...], records: Iterable[Record], facts: Mapping[str, str]) -> int:
        """Write one object a line, or one array if the file was an array; always UTF-8."""
        array = facts.get("layout") == "array"
        count = 0
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write("[\n" if array else "")
            for count, record in enumerate(records, start=1):
                line = printable_json(record)
                file.write((",\n" if count > 1 else "") + line if array else line + "\n")
            file.write("\n]\n" if array else "")
        return count


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line.decode("utf-8", errors="replace")), dict)
    except (ValueError, RecursionError):
        return False


def _lines(stream: TextIO, origin: SourceFile, encoding: Encoding) -> Rows:
    most = 4 * origin.limits.cell
    row = place = 0
    while True:
        try:
            line = stream.readline(most + 1)
        except UnicodeError as error:
            raise undecodable(origin, encoding, row + 1, None, str(error)) from error
        if not line:
            return
        place += 1
        if not line.strip():
            continue
        row += 1
        try:
            yield row, _line(line, most, origin, encoding, row, place)
        except DataError as error:
            yield row, error
        while len(line) > most and not line.endswith("\n"):  # skip the rest of a line that is too long
            line = stream.readline(most + 1)


def _line(line: str, most: int, origin: SourceFile, encoding: Encoding, row: int, place: int) -> Record:
    if len(line) > most:
        raise origin.error("data.line_holds_too_many_characters", value=line[:80], most=most, row=row)
    if not line.isascii() and HALVES.search(line):
        raise undecodable(origin, encoding, row, None, line)
    return _object(_loaded(line, origin, row, place), origin, row)


def _array(stream: TextIO, origin: SourceFile) -> Rows:
    text = stream.read(origin.limits.array + 1)
    if len(text) > origin.limits.array:
        raise origin.error("data.json_array_is_too_long", value=origin.name, most=origin.limits.array)
    if HALVES.search(text):
        raise origin.error("data.file_mixes_text_encodings", value=origin.name)
    rows = _loaded(text.lstrip("\ufeff"), origin, None)
    for row, value in enumerate(rows, start=1):
        try:
            yield row, _object(value, origin, row)
        except DataError as error:
            yield row, error


def _loaded(text: str, origin: SourceFile, row: int | None, line: int = 0) -> Any:
    """Parse a text of JSON. `line`: of the file, blank ones counted; 0 where the text is the whole file."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        start = text[:120].strip()
        if not line:
            raise origin.error("data.file_is_not_json", value=start, reason=error, row=row) from error
        reason = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise origin.error("data.line_is_not_json", value=start, line=line, reason=reason, name=origin.name, row=row) from error


def _object(value: Any, origin: SourceFile, row: int) -> Record:
    if not isinstance(value, dict):
        raise origin.error("data.row_is_not_object", value=str(value)[:120], row=row)
    for column, cell in value.items():
        if isinstance(cell, str):
            if len(cell) > origin.limits.cell:
                raise origin.too_long(len(cell), cell, row, whole(column))
        elif isinstance(cell, dict | list) and _deeper(cell, origin.limits.depth):
            name = whole(column)
            raise origin.error("data.row_is_nested_too_deep", value=name, depth=origin.limits.depth, row=row, column=name)
    return _chat(value) or value


def _chat(record: Record) -> Record | None:
    """A record of a chat with its turns as columns; None for another record."""
    turns = record.get("messages")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) and isinstance(turn.get("role"), str) for turn in turns):
        return None
    told = [(turn["role"], _said(turn.get("content"))) for turn in turns if turn["role"] in ("user", "assistant")]
    answer = told.pop()[1] if told and told[-1][0] == "assistant" else None
    asked = told[0][1] if len(told) == 1 else "\n".join(f"{role}: {said}" for role, said in told)
    return {**{name: cell for name, cell in record.items() if name != "messages"}, "input": asked, "output": answer}


def _said(content: Any) -> str:
    """The text of a turn, which may come in parts."""
    parts = content if isinstance(content, list) else [{"text": content}]
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _deeper(value: dict[str, Any] | list[Any], most: int) -> bool:
    """Whether lists and objects are nested deeper than `most`."""
    level: list[Any] = [value]
    for _ in range(most):
        inner = [entry for one in level for entry in (one.values() if isinstance(one, dict) else one)]
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return False
    return True


part = JsonlSource()
