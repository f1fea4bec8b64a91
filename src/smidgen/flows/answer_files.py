"""Answer files: JSON lines, CSV, TSV and XLSX with the answers beside the source's columns; and the file of a model's errors."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
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
from smidgen.stats.classification_metrics import reply_grades

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_WORKBOOK = ".xlsx"
_LINES = (".jsonl", ".ndjson", ".json", ".txt", "")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet takes for a formula."""
_NUMBER = re.compile(r"[+-]?\d[\d.,  ]*(?:[eE][+-]?\d+)?\s*%?")
_ANSWER, _SCORE, _ERROR = "output", "score", "error"
_MARKS = {"utf-8-sig": ("utf-8-sig", "utf-8"), "utf-16": ("utf-16", "utf-16-le"), "utf-32": ("utf-32", "utf-32-le")}
"""Encodings that begin with a byte order mark: the codec of the first line, and of the others."""


class AnswerFile(Protocol):
    """One kind of output file."""

    head: bytes
    """Bytes before the first row."""
    lost: int
    """Number of characters so far that the file's encoding lacks. A question mark replaces each."""

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """Return one row: the answer, or the error that prevented it."""
        ...

    def finish(self, written: Path) -> None:
        """Convert the file of all rows to its final format."""
        ...


class JsonLinesAnswers:
    """JSON lines: `{"output", "score", "alternatives"}`; `{"output": null, "error", "row"}` for a row that could not be used."""

    head = b""
    lost = 0

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `AnswerFile`."""
        entry = {_ANSWER: None, _SCORE: 0.0, _ERROR: answer, "row": number} if isinstance(answer, str) else answer_line(answer)
        return (printable_json(entry) + "\n").encode("utf-8")

    def finish(self, written: Path) -> None:
        """See `AnswerFile`."""


class TableAnswers:
    """A table: the source's columns, then the answer, `score` and `error`.

    `error` also says why no answer could be given. A name that the source already has gets the prefix `smidgen`. A cell that a spreadsheet
    would take for a formula gets an apostrophe in front.
    """

    def __init__(
        self, columns: Sequence[str], delimiter: str, encoding: str = "utf-8", answer: str = _ANSWER, form: Form | None = None
    ) -> None:
        self._columns, self._form = tuple(columns), form
        self._delimiter = delimiter
        first, self._encoding = _MARKS.get(encoding, (encoding, encoding))
        self.lost = 0
        self.head = self._bytes(answer_header(columns, answer, form), first)

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `AnswerFile`."""
        return self._bytes([_cell(value) for value in answer_cells(self._columns, record, answer, self._form)], self._encoding)

    def finish(self, written: Path) -> None:
        """See `AnswerFile`."""

    def _bytes(self, row: list[str], encoding: str) -> bytes:
        to = io.StringIO()
        csv.writer(to, delimiter=self._delimiter, lineterminator="\n").writerow([defused(whole(cell)) for cell in row])
        text = to.getvalue()
        try:
            return text.encode(encoding)
        except UnicodeEncodeError:
            known = text.encode(encoding, "ignore").decode(encoding)
            self.lost += len(text) - len(known)
            return text.encode(encoding, "replace")


class WorkbookAnswers:
    """A workbook. Its rows are lines of JSON until `finish` converts them."""

    lost = 0

    def __init__(self, columns: Sequence[str], answer: str = _ANSWER, form: Form | None = None) -> None:
        self._columns, self._form = tuple(columns), form
        self._names = answer_header(columns, answer, form)
        self.head = b""

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `AnswerFile`."""
        row = [value if isinstance(value, float) else _cell(value) for value in answer_cells(self._columns, record, answer, self._form)]
        return (printable_json(row) + "\n").encode("utf-8")

    def finish(self, written: Path) -> None:
        """Convert the lines to a workbook. Raises DataError for more rows than a worksheet holds."""
        from smidgen.data.xlsx import part

        columns = tuple(self._names)
        book = written.with_name(f"{written.name}.book")
        try:
            part.write(book, columns, (dict(zip(columns, row, strict=True)) for row in _rows(written)), {})
            book.replace(written)
        finally:
            book.unlink(missing_ok=True)


def answer_file_for(
    out: str, columns: Sequence[str], facts: Mapping[str, str] | None = None, answer: str | None = None, form: Form | None = None
) -> AnswerFile:
    """Choose the kind of file by the name `out`; "-" gives JSON lines.

    Args:
        out: the file.
        columns: of the source.
        facts: how the source was read: a CSV keeps its `delimiter` and its `encoding`.
        answer: column of the answer, as in the model's examples. Without one, or if the source has it already: `output`.
        form: of the answers, for a table with a column for each of its `columns`; None for all of an answer in one.

    Raises:
        InputError: the format is not supported.
    """
    facts = facts or {}
    suffix = "" if out == "-" else PurePath(out).suffix.lower()
    name = answer if answer and answer not in columns else _ANSWER
    if suffix == _WORKBOOK:
        return WorkbookAnswers(columns, name, form)
    if suffix in _DELIMITERS:
        table = "delimiter" in facts
        delimiter = facts["delimiter"] if table and suffix == ".csv" and facts["delimiter"] != "\t" else _DELIMITERS[suffix]
        return TableAnswers(columns, delimiter, facts["encoding"] if table else "utf-8", name, form)
    if suffix in _LINES:
        return JsonLinesAnswers()
    raise InputError("flows.answers_cannot_be_written_in_format", value=out)


def answer_line(reply: Reply) -> dict[str, Any]:
    """Return a reply as a JSON-ready line."""
    return {
        _ANSWER: reply.output,
        _SCORE: round(reply.score, 6),
        "alternatives": [{"output": output, "score": round(score, 6)} for output, score in reply.alternatives],
        **({"facts": dict(reply.facts)} if reply.facts else {}),
    }


def answer_header(columns: Sequence[str], answer: str, form: Form | None = None) -> list[str]:
    """Return the header: the source's columns, then those of the answer."""
    own: list[str] = []
    for name in (*((form.columns if form is not None else ()) or (answer,)), _SCORE, _ERROR):
        while name in columns or name in own:
            name = f"smidgen {name}"
        own.append(name)
    return [*columns, *own]


def answer_cells(columns: Sequence[str], record: Record, answer: Reply | str, form: Form | None = None) -> list[Any]:
    """Return the values of a row in the order of the header. The score is a float."""
    own = [record.get(name) for name in columns]
    wide = len(form.columns) if form is not None else 0
    if isinstance(answer, str):
        return [*own, *[None] * max(1, wide), 0.0, answer]
    cells = form.cells(answer.output, answer.facts) if form is not None and wide else [answer.output]
    return [*own, *cells, answer.score, str(answer.facts.get("refused", ""))]


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


def defused(cell: str) -> str:
    """Return the cell so that no spreadsheet computes it. A plain number stays unchanged."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def cell_reader(task: Task, form: Form) -> Callable[[Any], Any]:
    """Return a function from a cell to the task's output. The function raises ValueError with the reason for an invalid cell."""
    settings = task.cell_settings(form)
    return lambda cell: task.parse(cell, settings)


POOR = 0.5
"""A written text is neither right nor wrong: one with a grade below this counts as an error."""


class JsonRecords(JsonLinesAnswers):
    """JSON lines with the whole row. `errors`: also why a row has no answer."""

    def __init__(self, columns: Sequence[str], errors: bool = False) -> None:
        self._columns, self._names = tuple(columns), answer_header(columns, _ANSWER)[: None if errors else -1]

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `AnswerFile`."""
        values = answer_cells(self._columns, record, answer)[: len(self._names)]
        return (printable_json(dict(zip(self._names, values, strict=True))) + "\n").encode("utf-8")


def error_file_for(out: str, table: DataTable) -> AnswerFile:
    """Choose the kind of the error file by the name `out`. A CSV keeps the table's delimiter and encoding.

    Raises InputError for an unsupported format and for standard output.
    """
    if out == STDIN:
        raise InputError("flows.errors_need_a_file", value=out)
    kind = answer_file_for(out, table.columns, table.facts)
    return JsonRecords(table.columns) if isinstance(kind, JsonLinesAnswers) else kind


def write_error_file(out: str, table: DataTable, wrong: Mapping[int, Reply], kind: AnswerFile | None = None) -> int:
    """Write the wrong rows by number, in order, each with its answer. Returns their count. The file appears complete or not at all.

    Raises InputError as `error_file_for` does; DataError if it cannot be written.
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
        raise DataError("flows.file_of_errors_cannot_be_written", value=error.strerror, file=out) from None
    finally:
        part.unlink(missing_ok=True)
    return count


_MESSAGE_COLUMNS = ("conversation", "message", "wanted", "given")


def error_file_of_messages(out: str) -> AnswerFile:
    """Choose the kind of the file of wrong messages by its name. Raises as `error_file_for` does."""
    if out == STDIN:
        raise InputError("flows.errors_need_a_file", value=out)
    kind = answer_file_for(out, _MESSAGE_COLUMNS, {})
    return JsonRecords(_MESSAGE_COLUMNS) if isinstance(kind, JsonLinesAnswers) else kind


def write_wrong_messages(out: str, task: Task, form: Form, rows: Sequence[Row], replies: Sequence[Reply], kind: AnswerFile) -> int:
    """Write the messages of conversations that were treated wrongly: the conversation's number, the message, the wanted outcome, the given
    one, and the words of the answer. Returns their count. Raises DataError if the file cannot be written."""
    target = Path(out)
    part, count = target.with_name(f"{target.name}.part"), 0
    wrong = [
        pair for pair, grade in zip(zip(rows, replies, strict=True), reply_grades(task, rows, replies, form), strict=True) if grade < POOR
    ]
    try:
        with part.open("wb") as stream:
            stream.write(kind.head)
            for count, (row, reply) in enumerate(wrong, start=1):
                told = task.dialogue.sample(row, reply) if task.dialogue is not None else {}
                cells = (row.number, told.get("text", joined(row.input)), "; ".join(told.get("wanted", ())), told.get("outcome", ""))
                record = dict(zip(_MESSAGE_COLUMNS, cells, strict=True))
                stream.write(kind.row(count, record, replace(reply, output=told.get("got", reply.output), facts={})))
        kind.finish(part)
        part.replace(target)
    except OSError as error:
        raise DataError("flows.file_of_errors_cannot_be_written", value=error.strerror, file=out) from None
    finally:
        part.unlink(missing_ok=True)
    return count


def wrong_rows(task: Task, form: Form, rows: Sequence[Row], replies: Sequence[Reply], every: Sequence[Row]) -> dict[int, Reply]:
    """Return the replies that are wrong, or poor, by row number.

    Args:
        rows: the rows that were answered; for a graded task, rows with the same input are gathered into one.
        every: all rows as read.
    """
    grades = reply_grades(task, rows, replies, form)
    if task.grading is not None:
        poor = {joined(row.input): reply for row, reply, grade in zip(rows, replies, grades, strict=True) if grade < POOR}
        return {row.number: poor[joined(row.input)] for row in every if joined(row.input) in poor}
    return {row.number: reply for row, reply, grade in zip(rows, replies, grades, strict=True) if not grade}
