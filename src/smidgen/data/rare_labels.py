"""Labels with one row, which cannot be both learnt and measured.

One that is another spelling of a common label is merged with it; the others are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smidgen.core.errors import DataError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.rows import Row
from smidgen.core.settings import Settings
from smidgen.data.findings.labels import respelt


@dataclass(frozen=True)
class LearnableRows:
    """Rows that a model can be built from, and their form.

    Attributes:
        merged: labels with one row, each with the common spelling that its row has now.
        left_out: other labels with one row, which no row has any more.
    """

    rows: list[Row]
    form: Form
    merged: Mapping[str, str]
    left_out: tuple[str, ...] = ()


def learnable_rows(task: Task, rows: list[Row], asked: Settings) -> LearnableRows:
    """The rows as they are if they can teach the task; else without labels that have one row. Raises DataError if that does not help."""
    try:
        return LearnableRows(rows, task.form(rows, asked), {})
    except DataError as error:
        merged = respelt(label_counts(rows))
        rows = [replace(row, output=_merged(row.output, merged)) if merged.keys() & set(_labels(row.output)) else row for row in rows]
        try:
            return LearnableRows(rows, task.form(rows, asked), merged)
        except DataError:
            counts = label_counts(rows) if task.rows_name_labels else Counter[str]()
        left_out = tuple(sorted(label for label, count in counts.items() if count == 1))
        kept = [without for row in rows if (without := _without(row, set(left_out))) is not None]
        try:
            return LearnableRows(kept, task.form(kept, asked), merged, left_out)
        except DataError:  # there is more amiss
            raise error from None


def label_counts(rows: Sequence[Row]) -> Counter[str]:
    """The number of rows of each label; empty if outputs are not labels."""
    return Counter(label for row in rows for label in _labels(row.output))


def _without(row: Row, labels: set[str]) -> Row | None:
    """The row without these labels; None if it has no other."""
    if isinstance(row.output, str):
        return None if row.output in labels else row
    if not labels & set(_labels(row.output)):
        return row
    left = [label for label in row.output if label not in labels]
    return replace(row, output=left) if left else None


def _labels(output: Any) -> list[str]:
    found = output if isinstance(output, list) else [output]
    return found if all(isinstance(label, str) for label in found) else []


def _merged(output: Any, merged: Mapping[str, str]) -> Any:
    return merged.get(output, output) if isinstance(output, str) else sorted({merged.get(label, label) for label in output})
