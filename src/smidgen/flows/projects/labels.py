"""Answers of a project's rows: read as the task reads them."""

from __future__ import annotations

from typing import Any

from smidgen.core.errors import InputError
from smidgen.core.parts import Task
from smidgen.parts import registry
from smidgen.parts.recipe import make


def parse_output(task: str, output: Any) -> Any:
    """An answer as the task reads a cell of a data file; None stays None. Raises InputError where the task does not take it."""
    if output is None:
        return None
    part: Task = registry.find("tasks", task)
    try:
        return part.parse(output, make({"task": task}, []).asked)
    except ValueError as error:
        raise InputError(f"the answer does not fit the task {task}", value=output, todo=f"{error}.") from None
