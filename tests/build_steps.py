"""What a test needs to take single steps of a build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smidgen.core.forms import Form
from smidgen.core.parts import Base, EngineSpec
from smidgen.core.progress import Progress, Silent
from smidgen.core.quantities import Metric
from smidgen.core.settings import Settings
from smidgen.flows.build.examples import read_examples
from smidgen.flows.build.teaching import teach
from smidgen.flows.build.timing import Timing
from smidgen.flows.build.work import BuildContext, Candidate, PlannedStudent, StudentVariant, Work
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make
from smidgen.store.files import home
from smidgen.store.step_results import StepResults


def context(folder: Path | None = None, progress: Progress | None = None) -> BuildContext:
    """One thread, and steps that are stored in a folder."""
    folder = folder or home()
    return BuildContext(StepResults(folder / "steps"), folder, 1, progress or Silent())


def rows_of(recipe: Recipe, folder: Path | None = None) -> Work:
    """A recipe with its rows."""
    return read_examples(Work(recipe), context(folder))


def taught_rows(recipe: Recipe, progress: Progress | None = None) -> tuple[Work, Work]:
    """A recipe with its rows, before and after teaching."""
    before = rows_of(recipe)
    return before, teach(before, context(None, progress))


def planned(task: str, form: Form, student: str, settings: Settings, **more: Any) -> Work:
    """A build that is about to train one student from one base, if `base` names one."""
    part = registry.find("students", student)
    base: Base | None = more.pop("base", None)
    recipe = make({"name": "x", "task": task, "data": {"train": "rows.csv", "input": "text", "label": "label"}})
    bases = {base.family: base} if base else {}
    return Work(recipe, form=form, bases=bases, students={part.name: PlannedStudent(part, settings)}, **more)


def candidate(
    student: str, method: str, value: float, p50: float, size: float, *, tokens_per_second: float | None = None, **more: Any
) -> Candidate:
    """A candidate with these numbers."""
    timing = Timing(p50, 2 * p50, 1000, 1, tokens_per_second)
    variant = StudentVariant(student, EngineSpec("none", (), {}, method), Path(), f"{student} {method}", timing, size)
    return Candidate(variant, Metric(value, value - 0.02, value + 0.02, 500), 10.0, **more)
