"""Guess which columns of a file hold the answers: one, or a column for each field; and whether a cell holds several labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.core.parts import Task
from smidgen.data.columns import ColumnChoice
from smidgen.data.source import Record
from smidgen.data.tables import DataTable

_LIKELY = 0.5
_SEPARATORS = ("|", ";", "\n", ",")
_SEVERAL = 0.15
"""The share of cells with a separator from which on they hold several labels."""
_LONGEST_LABEL = 40


@dataclass(frozen=True, slots=True)
class AnswerGuess:
    """The columns of the answers, None for a file without; whether a cell holds several labels, and what stands between them."""

    label: ColumnChoice | None
    several: bool = False
    separator: str = ""


def guess_answer(table: DataTable, task: Task, records: Sequence[Record]) -> AnswerGuess:
    """Guess the columns of the answers from the first rows."""
    label = table.label
    if label is not None and label.how == "given":
        return AnswerGuess(label)
    if task.most_columns > 1:
        return AnswerGuess(_fields(table, task, records))
    if label is None or not task.several:
        return AnswerGuess(label)
    return AnswerGuess(label, *_several([record.get(label.names[0]) for record in records]))


def _fields(table: DataTable, task: Task, records: Sequence[Record]) -> ColumnChoice | None:
    """A column of whole answers, if there is one; else every other column, but those that are empty or count the rows."""
    free = [name for name in table.columns if name not in table.input.names]
    cells = {name: [value for record in records if not _blank(value := record.get(name))] for name in free}
    whole = {name: task.page.likely(values) for name, values in cells.items() if values} if task.page is not None else {}
    best = max(whole, key=lambda name: whole[name], default=None)
    if best is not None and whole[best] >= _LIKELY:
        return ColumnChoice((best,), "guessed")
    texts = [" ".join(str(record.get(name)) for name in table.input.names) for record in records]
    told = [name for name in free if cells[name] and not _is_number_of_row([record.get(name) for record in records], texts)]
    return ColumnChoice(tuple(told[: task.most_columns]), "guessed") if told else None


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_number_of_row(values: Sequence[Any], texts: Sequence[str]) -> bool:
    """Whether each row has a value of its own, and no text says any of them."""
    told = [str(value).strip() for value in values]
    alone = len(told) > 2 and all(told) and len(set(told)) == len(told) and all(" " not in value for value in told)
    return alone and not any(value in text for value, text in zip(told, texts, strict=True))


def _several(cells: Sequence[Any]) -> tuple[bool, str]:
    """Whether cells hold several labels, and what stands between them. A separator must make fewer and shorter labels."""
    if any(isinstance(cell, list) for cell in cells):
        return True, ""
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    for separator in _SEPARATORS:
        pieces = [piece.strip() for text in texts for piece in text.split(separator)]
        many = sum(separator in text for text in texts)
        short = all(pieces) and max(map(len, pieces), default=0) <= _LONGEST_LABEL
        fewer = len(set(pieces)) < len(set(texts)) or many > len(texts) / 2
        if many and many >= _SEVERAL * len(texts) and short and fewer:
            return True, separator
    return False, ""
