"""Files of answers: JSON lines, CSV, TSV and XLSX with the answer beside the source's columns, and the file of a model's errors."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Protocol

from smidgen.core.errors import DataError, InputError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.printable import printable_json, whole
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data.source import Record
from smidgen.data.tables import STDIN, DataTable
from smidgen.stats.classification_metrics import same_labels

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_WORKBOOK = ".xlsx"
_LINES = (".jsonl", ".ndjson", ".json", ".txt", "")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""The first characters of a cell that a spreadsheet takes for a formula."""
_NUMBER = re.compile(r"[+-]?\d[\d.,  ]*(?:[eE][+-]?\d+)?\s*%?")
_ANSWER, _SCORE, _ERROR = "output", "score", "error"
_MARKS = {"utf-8-sig": ("utf-8-sig", "utf-8"), "utf-16": ("utf-16", "utf-16-le"), "utf-32": ("utf-32", "utf-32-le")}
"""Encodings that begin with a mark: how the first line is written, and how the others are."""


class AnswerFile(Protocol):
    """One kind of output file."""

    head: bytes
    """The bytes before the first row."""
    lost: int
    """Characters that the file's encoding does not have, so far; a question mark stands for each."""

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """One row: answered, or with the error that kept it from being."""
        ...

    def finish(self, written: Path) -> None:
        """Make the file of all rows what it is meant to be."""
        ...


class JsonLinesAnswers:
    """`{"output", "score", "alternatives"}` a line; `{"output": null, "error", "row"}` for a row that could not be used."""

    head = b""
    lost = 0

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `AnswerFile`."""
        entry = {_ANSWER: None, _SCORE: 0.0, _ERROR: answer, "row": number} if isinstance(answer, str) else answer_line(answer)
        return (printable_json(entry) + "\n").encode("utf-8")

    def finish(self, written: Path) -> None:
        """See `AnswerFile`."""


class TableAnswers:
    """The columns of the source, then the answer, `score` and `error` (also where no answer could be given). A name that the source has
    already gets `smidgen` before it.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """

    def __init__(self, columns: Sequence[str], delimiter: str, encoding: str = "utf-8", answer: str = _ANSWER) -> None:
        self._columns = tuple(columns)
        self._delimiter = delimiter
        first, self._encoding = _MARKS.get(encoding, (encoding, encoding))
        self.lost = 0
        self.head = self._bytes(answer_header(columns, answer), first)

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `AnswerFile`."""
        return self._bytes([_cell(value) for value in answer_cells(self._columns, record, answer)], self._encoding)

    def finish(self, written: Path) -> None:
        """See `AnswerFile`."""

    def _bytes(self, row: list[str], encoding: str) -> bytes:
        to = io.StringIO()
        csv.writer(to, delimiter=self._delimiter, lineterminator="\n").writerow([_defused(whole(cell)) for cell in row])
        text = to.getvalue()
        try:
            return text.encode(encoding)
        except UnicodeEncodeError:
            known = text.encode(encoding, "ignore").decode(encoding)
            self.lost += len(text) - len(known)
            return text.encode(encoding, "replace")


class WorkbookAnswers:
    """Answers as a workbook. Its rows are lines of JSON until all of them are there."""

    lost = 0

    def __init__(self, columns: Sequence[str], answer: str = _ANSWER) -> None:
        self._columns = tuple(columns)
        self._names = answer_header(columns, answer)
        self.head = b""

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `AnswerFile`."""
        row = [value if isinstance(value, float) else _cell(value) for value in answer_cells(self._columns, record, answer)]
        return (printable_json(row) + "\n").encode("utf-8")

    def finish(self, written: Path) -> None:
        """See `AnswerFile`. Raises DataError for more rows than a worksheet has."""
        from smidgen.data.xlsx import part

        columns = tuple(self._names)
        book = written.with_name(f"{written.name}.book")
        try:
            part.write(book, columns, (dict(zip(columns, row, strict=True)) for row in _rows(written)), {})
            book.replace(written)
        finally:
            book.unlink(missing_ok=True)


def answer_file_for(out: str, columns: Sequence[str], facts: Mapping[str, str] | None = None, answer: str | None = None) -> AnswerFile:
    """The kind of file that the name `out` asks for; "-" is lines.

    Args:
        out: the file.
        columns: of the source.
        facts: how the source was read: a CSV keeps its `delimiter` and its `encoding`.
        answer: the column of the answer: as the model's examples had it. Without one, or where the source has it already, `output`.

    Raises:
        InputError: a name of another kind.
    """
    facts = facts or {}
    suffix = "" if out == "-" else PurePath(out).suffix.lower()
    name = answer if answer and answer not in columns else _ANSWER
    if suffix == _WORKBOOK:
        return WorkbookAnswers(columns, name)
    if suffix in _DELIMITERS:
        table = "delimiter" in facts
        delimiter = facts["delimiter"] if table and suffix == ".csv" and facts["delimiter"] != "\t" else _DELIMITERS[suffix]
        return TableAnswers(columns, delimiter, facts["encoding"] if table else "utf-8", name)
    if suffix in _LINES:
        return JsonLinesAnswers()
    raise InputError("answers are not written in this format", value=out, todo="Name a file that ends in .jsonl, .csv, .tsv or .xlsx.")


def answer_line(reply: Reply) -> dict[str, Any]:
    """A reply as it stands in a line."""
    return {
        _ANSWER: reply.output,
        _SCORE: round(reply.score, 6),
        "alternatives": [{"output": output, "score": round(score, 6)} for output, score in reply.alternatives],
        **({"facts": dict(reply.facts)} if reply.facts else {}),
    }


def answer_header(columns: Sequence[str], answer: str) -> list[str]:
    """The header: the source's columns, then those of the answer."""
    own = []
    for name in (answer, _SCORE, _ERROR):
        while name in columns:
            name = f"smidgen {name}"
        own.append(name)
    return [*columns, *own]


def answer_cells(columns: Sequence[str], record: Record, answer: Reply | str) -> list[Any]:
    """The values of a row, in the order of the header; the score is a float."""
    own = [record.get(name) for name in columns]
    if isinstance(answer, str):
        return [*own, None, 0.0, answer]
    return [*own, answer.output, answer.score, str(answer.facts.get("refused", ""))]


def _rows(file: Path) -> Iterator[list[Any]]:
    with file.open(encoding="utf-8") as stream:
        for row in stream:
            yield json.loads(row)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _defused(cell: str) -> str:
    """The cell as no spreadsheet computes it. A plain number stays one."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def cell_reader(task: Task, form: Form) -> Callable[[Any], Any]:
    """From a cell to the task's own value. What it returns raises ValueError with the reason for one that is none."""
    settings = task.cell_settings(form)
    return lambda cell: task.parse(cell, settings)


POOR = 0.5
"""A text is neither right nor wrong: one whose grade is under this is written as an error."""


class _JsonRecords(JsonLinesAnswers):
    """A whole row a line, as JSON."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns, self._names = tuple(columns), answer_header(columns, "output")[:-1]

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `AnswerFile`."""
        values = answer_cells(self._columns, record, answer)[: len(self._names)]
        return (printable_json(dict(zip(self._names, values, strict=True))) + "\n").encode("utf-8")


def error_file_for(out: str, table: DataTable) -> AnswerFile:
    """The kind of file that the name `out` asks for; a CSV keeps the delimiter and the encoding of the table. Raises InputError for a name
    of another kind, for standard output, and for the table's own file."""
    if out == STDIN:
        raise InputError("errors go to a file", value=out, todo="Name one, such as --errors errors.csv.")
    kind = answer_file_for(out, table.columns, table.facts)
    return _JsonRecords(table.columns) if isinstance(kind, JsonLinesAnswers) else kind


def write_error_file(out: str, table: DataTable, wrong: Mapping[int, Reply], kind: AnswerFile | None = None) -> int:
    """Write the rows with these numbers, in their order, each with what was answered; how many. The file is whole or not there.

    Raises InputError as `error_file_for` does; DataError where it cannot be written.
    """
    kind = kind or error_file_for(out, table)
    target = Path(out)
    part, count = target.with_name(f"{target.name}.part"), 0
    try:
        with part.open("wb") as stream:
            stream.write(kind.head)
            for number, record in table.each():
                if number in wrong and not isinstance(record, DataError):
                    stream.write(kind.row(number, record, wrong[number]))
                    count += 1
        kind.finish(part)
        part.replace(target)
    except OSError as error:
        raise DataError("the file of errors cannot be written", value=error.strerror, todo="Name one in a folder.", file=out) from None
    finally:
        part.unlink(missing_ok=True)
    return count


def wrong_rows(task: Task, form: Form, rows: Sequence[Row], replies: Sequence[Reply], every: Sequence[Row]) -> dict[int, Reply]:
    """The replies that are wrong, or poor, by the numbers of their rows in the file.

    Args:
        rows: that were answered; of a graded task those of one input are one.
        every: as they were read.
    """
    if task.graded:
        grades = task.grades(rows, replies, form)
        poor = {joined(row.input): reply for row, reply, grade in zip(rows, replies, grades, strict=True) if grade < POOR}
        return {row.number: poor[joined(row.input)] for row in every if joined(row.input) in poor}
    right = same_labels([row.output for row in rows], [reply.output for reply in replies])
    return {row.number: reply for row, reply, good in zip(rows, replies, right, strict=True) if not good}
