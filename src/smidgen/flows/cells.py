"""Cells of a data file as the task of a finished bundle reads them: its recipe is not at hand any more, but what decides is in its form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smidgen.core.parts import Form, Task


def reader(task: Task, form: Form) -> Callable[[Any], Any]:
    """From a cell to the task's own value. What it returns raises ValueError with the reason for one that is none."""
    settings = task.settings.model_validate({"multi_label": True} if form.get("multi_label") else {})
    return lambda cell: task.parse(cell, settings)
