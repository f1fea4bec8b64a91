"""The rows that a model got wrong, as a file in the form of the one they came from: all its columns, then the answer and its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from smidgen.core.errors import DataError, InputError
from smidgen.core.parts import Form, Graded, Task
from smidgen.core.printable import printable_json
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data.read import STDIN, Table
from smidgen.data.source import Record
from smidgen.flows.answers import Answers, Lines, answers_for, cells, names
from smidgen.stats.patterns import same

POOR = 0.5
"""A text is neither right nor wrong: one whose grade is under this is written as an error."""


class _Records(Lines):
    """A whole row a line, as JSON."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns, self._names = tuple(columns), names(columns, "output")[:-1]

    def row(self, number: int, record: Record, answer: Reply | str) -> bytes:
        """See `Answers`."""
        values = cells(self._columns, record, answer)[: len(self._names)]
        return (printable_json(dict(zip(self._names, values, strict=True))) + "\n").encode("utf-8")


def writer_for(out: str, table: Table) -> Answers:
    """The kind of file that the name `out` asks for; a CSV keeps the delimiter and the encoding of the table. Raises InputError for a name
    of another kind, for standard output, and for the table's own file."""
    if out == STDIN:
        raise InputError("errors go to a file", value=out, todo="Name one, such as --errors errors.csv.")
    kind = answers_for(out, table.columns, table.facts)
    return _Records(table.columns) if isinstance(kind, Lines) else kind


def write(out: str, table: Table, wrong: Mapping[int, Reply], kind: Answers | None = None) -> int:
    """Write the rows with these numbers, in their order, each with what was answered; how many. The file is whole or not there.

    Raises InputError as `writer_for` does; DataError where it cannot be written.
    """
    kind = kind or writer_for(out, table)
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


def numbers(task: Task, form: Form, rows: Sequence[Row], replies: Sequence[Reply], every: Sequence[Row]) -> dict[int, Reply]:
    """The replies that are wrong, or poor, by the numbers of their rows in the file.

    Args:
        rows: that were answered; of a graded task those of one input are one.
        every: as they were read.
    """
    if isinstance(task, Graded):
        grades = task.grades(rows, replies, form)
        poor = {joined(row.input): reply for row, reply, grade in zip(rows, replies, grades, strict=True) if grade < POOR}
        return {row.number: poor[joined(row.input)] for row in every if joined(row.input) in poor}
    right = same([row.output for row in rows], [reply.output for reply in replies])
    return {row.number: reply for row, reply, good in zip(rows, replies, right, strict=True) if not good}
