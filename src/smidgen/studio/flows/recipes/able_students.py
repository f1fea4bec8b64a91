"""The students that can learn a project's rows, as far as the rows themselves show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.core.errors import DataError, RecipeError
from smidgen.core.forms import Form
from smidgen.core.parts import Student, Task
from smidgen.core.rows import Row
from smidgen.parts import registry
from smidgen.studio.flows.recipes.build_settings import students_of
from smidgen.studio.flows.recipes.canvas import SettingMistake, node_of
from smidgen.studio.flows.recipes.project_recipe import asked_of, check_settings, laid_over, recipe_tree
from smidgen.studio.store.data_rows import RowFilter
from smidgen.studio.store.projects import Project, StudioStore

_ROWS = 300
"""Rows that show which students can learn them."""


def able_students(store: StudioStore, project: Project) -> dict[str, str]:
    """The students that may be asked for, each with the reason why it cannot learn the project's rows; empty if it can."""
    task, form = formed_task(store, project)
    parts: dict[str, Student] = {name: registry.find("students", name) for name in students_of(task)}
    barred = form.unfit_students if form is not None else {}
    return {name: barred.get(name) or ("" if form is None else part.why_not(form)) for name, part in parts.items()}


def check_build(store: StudioStore, project: Project, given: Mapping[str, Any]) -> list[SettingMistake]:
    """Every mistake in the settings of a build, and whether its student can learn the rows; empty where it may start."""
    found = check_settings(project, given)
    student = laid_over(recipe_tree(project), given).get("student")
    kind = student.get("kind") if isinstance(student, Mapping) else None
    place, asked = ("student.kind", [kind]) if kind not in (None, "auto") else ("student.among", (student or {}).get("among") or [])
    if found or not asked:
        return found
    able = able_students(store, project)
    strange = next((name for name in asked if name not in able), None)
    if strange is not None:
        text = f"{strange} does not learn the task {project.task}; choose auto, or one of {', '.join(able)}."
    elif all(able[name] for name in asked):
        text = f"{asked[0]} cannot learn from these rows: {able[asked[0]]}."
    else:
        return []
    return [SettingMistake(place, node_of(place, project.task), text)]


def formed_task(store: StudioStore, project: Project) -> tuple[Task, Form | None]:
    """The task of a project by the form of a model of its first rows, and the form; None where they cannot teach one yet."""
    task: Task = registry.find("tasks", project.task)
    rows = []
    for row in store.rows(project.id).each(where=RowFilter(part="train")):
        if row.output is not None:
            rows.append(Row(row.text, row.output, row.key))
        if len(rows) == _ROWS:
            break
    try:
        form: Form = task.form(rows, asked_of(project))
    except (DataError, RecipeError):
        return task, None
    return task.formed(form), form
