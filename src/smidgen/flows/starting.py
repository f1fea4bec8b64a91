"""What a file is most likely to teach: which column is the text, which the answer, and what kind of job that is. It is a guess, for the
file's owner to confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError
from smidgen.core.parts import Recognising, most_columns
from smidgen.data.read import Table, open_table
from smidgen.data.settings import DataSettings
from smidgen.parts import registry

_SAMPLE = 2000
SURE = 0.5
"""How much a column must look like a task's outputs, and how much more than like another's, to be no question."""

_NAMED = 0.2
"""What a column gains by a name or cells that the reader of files takes for those of answers."""


@dataclass(frozen=True)
class Guess:
    """What a file teaches.

    Attributes:
        task: the kind of job, by name.
        input, label: its columns, as flags take them.
        doubts: what is not clear, a clause each; whoever is there should be asked.
        columns: all columns of the file.
    """

    task: str
    input: str
    label: str
    doubts: tuple[str, ...]
    columns: tuple[str, ...]


def guess(
    file: str | Path, *, task: str | None = None, input: str | None = None, label: str | None = None, settings: DataSettings | None = None
) -> Guess:
    """The likeliest reading of a file; what is given is taken as it is.

    Raises:
        DataError: the file cannot be read, has no column of texts, or none that any task could learn as its answer.
        UnknownPart: a task that does not exist.
    """
    tasks = [task] if task is not None else registry.names("tasks")
    most = max(most_columns(registry.find("tasks", name)) for name in tasks)
    table = open_table(file, input=input, label=label, need_label=False, settings=settings, most_labels=most)
    doubts = []
    if table.input.how == "guessed" and len(_prose(table)) > 1:
        doubts.append(f"whether {table.input.name!r} is the text")
    given = table.label if table.label is not None and table.label.how == "given" else None
    if given is not None and task is not None:
        return Guess(task, table.input.name, given.name, tuple(doubts), table.columns)
    answers = [given.name] if given is not None else [name for name in table.columns if name not in table.input.names]
    named = table.label.name if table.label is not None else ""
    scores = {(column, one): _likely(one, _cells(table, column)) for column in answers for one in tasks}
    found = sorted(
        ((score + (_NAMED if score and column == named else 0), column, one) for (column, one), score in scores.items()), reverse=True
    )
    best = found[0] if found else (0.0, "", "")
    if best[0] <= 0:
        raise DataError(
            "no column looks like answers to learn",
            value=", ".join(table.columns),
            todo="Name it: --label COLUMN --task TASK.",
            file=table.name,
        )
    score, column, kind = best
    rivals = [one for other, name, one in found if name == column and one != kind and other > score - SURE * score]
    if task is None and (score < SURE or rivals):
        doubts.append(f"whether the job is {' or '.join([kind, *rivals])}")
    if given is None:
        others = [name for other, name, _ in found if name != column and other > SURE * score]
        if others:
            doubts.append(f"whether {column!r} is the answer, or {', '.join(repr(name) for name in dict.fromkeys(others))}")
    return Guess(kind, table.input.name, column, tuple(doubts), table.columns)


def _likely(task: str, cells: Sequence[Any]) -> float:
    part = registry.find("tasks", task)
    return part.likely(cells) if cells and isinstance(part, Recognising) else 0.0


def _cells(table: Table, column: str) -> list[Any]:
    """The first cells of a column, or of the first of several, that are not empty."""
    name = column if column in table.columns else column.split(",")[0].strip()
    found = (record.get(name) for _, record in islice(table.records(), _SAMPLE))
    return [cell for cell in found if cell is not None and (not isinstance(cell, str) or cell.strip())]


def _prose(table: Table) -> list[str]:
    """Columns of mostly different texts of several words."""
    found = []
    for column in table.columns:
        cells = [cell for cell in _cells(table, column) if isinstance(cell, str)]
        words = sum(cell.count(" ") + 1 for cell in cells) / max(1, len(cells))
        if cells and words >= 3 and len(set(cells)) > 0.5 * len(cells):
            found.append(column)
    return found
