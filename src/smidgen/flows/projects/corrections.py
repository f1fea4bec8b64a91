"""Put a corrected answer into the data: relabel the rows with the same text, or add a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from smidgen.core.errors import InputError
from smidgen.core.parts import Task, placing
from smidgen.flows.projects.imports import parse_output
from smidgen.parts import registry
from smidgen.store.studio.data_rows import DataRow, DataVersion, ProjectRows, RowFilter

PLAYGROUND = "playground"
"""The source of rows that were added here."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction: its version (None if every row said so already), how many rows it relabelled, and whether it added one."""

    version: DataVersion | None
    relabelled: int
    added: bool


def correct(rows: ProjectRows, task: str, text: str, second: str | None, output: Any, author: str) -> Correction:
    """Write down the right answer to a text. Raises InputError where the task does not take the answer."""
    placed = _placed(task, text, second, output)
    same = [row for row in rows.each(where=RowFilter(input=text)) if (row.second or None) == (second or None)]
    if not same:
        row = DataRow(text, second or None, placed, "train", PLAYGROUND)
        return Correction(rows.add([row], author, "add", {"source": PLAYGROUND}), 0, True)
    wrong = [row.key for row in same if row.output != placed]
    if not wrong:
        return Correction(None, 0, False)
    details: Mapping[str, Any] = {"output": placed, "rows": len(wrong), "source": PLAYGROUND}
    return Correction(rows.change(wrong, lambda row: replace(row, output=placed), author, "relabel", details), len(wrong), False)


def _placed(task: str, text: str, second: str | None, output: Any) -> Any:
    if output is None:
        raise InputError("a correction needs an answer", value="none", todo="Say what the right answer is.")
    part: Task = registry.find("tasks", task)
    parsed = parse_output(task, output)
    place = placing(part)
    if place is None:
        return parsed
    try:
        return place((text, second) if second else text, parsed)
    except ValueError as error:
        raise InputError("the answer does not fit its text", value=str(output), todo=f"{error}.") from None
