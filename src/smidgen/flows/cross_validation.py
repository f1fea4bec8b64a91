"""Cross-validation: every row answered by a model that learnt from the others, in five parts. It uses all rows where a test uses some.

It measures models that learnt from four fifths of the rows, so it is a little lower than what all of them would give. The parts are drawn
like the test rows are: by stratum, near-duplicates in one part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.core.parts import Task, formed, most_columns, writes
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data import near
from smidgen.data.read import STDIN, open_table
from smidgen.data.settings import DataSettings
from smidgen.data.split import split
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows import error_file
from smidgen.flows.examples import Examples, path_of
from smidgen.flows.trained import Trained
from smidgen.flows.training import Bench
from smidgen.judge import few_rows
from smidgen.judge.sections import CrossValidation, measured
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe

FOLDS = 5
QUICK = 60.0
"""Seconds that five more trainings may take for cross-validation to be made unasked, where the test is small."""
_LEAST_ROWS = 2 * FOLDS


@dataclass(frozen=True)
class Crossed:
    """What came of it: for the report, and the rows with their answers; none where it was not made."""

    section: CrossValidation
    rows: tuple[Row, ...] = ()
    replies: tuple[Reply, ...] = ()


def check(recipe: Recipe, task: Task, form: dict[str, object], errors: str | None) -> None:
    """Raises InputError where a file of errors is asked for and there can be none, before anything is trained."""
    if errors is None:
        return
    settings = recipe.settings(DataSettings)
    if writes(formed(task, form)) or recipe.settings(TeacherSettings).source is not None or settings.train in (None, STDIN):
        raise InputError(
            "errors over all rows are of models that choose or find, taught by a file of rows alone",
            value=errors,
            todo="Leave --errors out, and measure the model on a file: smidgen eval DIR --data FILE --errors FILE.",
        )
    error_file.writer_for(errors, open_table(path_of(str(settings.train), recipe), settings=settings, most_labels=most_columns(task)))


def crossed(recipe: Recipe, task: Task, examples: Examples, bench: Bench, trained: Trained, student: str, *, asked: bool) -> Crossed | None:
    """Cross-validate the chosen student where it is asked for, or the test is small and it takes seconds; else say what it would take. None
    where it cannot be, or would say nothing.

    Args:
        task: formed.
        student: of students that answer together the first is meant.
    """
    kind = student.partition("+")[0]
    learnt = trained.learnt[kind]
    if writes(task) or examples.teacher is not None or learnt.settings is None:
        return None
    if not asked and len(examples.test) >= few_rows.FEW:
        return None
    rows = _every(examples)
    if len(rows) < _LEAST_ROWS:
        return None
    estimate = FOLDS * learnt.final.seconds
    if not asked and estimate > QUICK:
        return Crossed(CrossValidation(folds=FOLDS, n=len(rows), student=kind, seconds=estimate))
    replies: dict[int, Reply] = {}
    seconds = 0.0
    for number, fold in enumerate(_folds(rows, task, bench.seed), 1):
        away = {id(row) for row in fold}
        rest = [row for row in rows if id(row) not in away]
        label = f"cross-validate {kind}, part {number} of {FOLDS}"
        fitted = bench.fit(kind, learnt.settings, rest, (), examples.form, None, label)
        seconds += fitted.seconds
        answered = task.decode(bench.raw(fitted, [row.input for row in fold]), learnt.form)
        replies |= {id(row): reply for row, reply in zip(fold, answered, strict=True)}
    found = [replies[id(row)] for row in rows]
    metric = measured(task.measure(rows, found, learnt.form)[task.headline])
    return Crossed(CrossValidation(folds=FOLDS, n=len(rows), student=kind, seconds=seconds, metric=metric), tuple(rows), tuple(found))


def write_errors(found: Crossed, recipe: Recipe, task: Task, form: dict[str, object], out: str) -> int:
    """Write the rows that were answered wrong, in the dialect of their file; how many. Raises as `error_file.write` does."""
    settings = recipe.settings(DataSettings)
    plain: Task = registry.find("tasks", recipe.task)
    table = open_table(path_of(str(settings.train), recipe), settings=settings, most_labels=most_columns(plain))
    wrong = error_file.numbers(task, form, found.rows, found.replies, found.rows)
    return error_file.write(out, table, wrong)


def _every(examples: Examples) -> list[Row]:
    """The rows of the training file, in its order."""
    test = examples.test if examples.test_sha256 is None else []
    return sorted({row.number: row for row in (*examples.train, *examples.held, *test)}.values(), key=lambda row: row.number)


def _folds(rows: Sequence[Row], task: Task, seed: int) -> list[list[Row]]:
    """The rows in parts of about the same size."""
    groups = dict(zip((id(row) for row in rows), near.groups([joined(row.input) for row in rows]), strict=True))
    strata = dict(zip((id(row) for row in rows), task.strata(rows), strict=True))
    left, made = list(rows), []
    for count in range(FOLDS, 1, -1):
        kept, held = split(
            left,
            [strata[id(row)] for row in left],
            1 / count,
            seed + 7,
            [groups[id(row)] for row in left],
            minimum_per_stratum=0,
        )
        made.append(held)
        left = kept
    return [fold for fold in (*made, left) if fold]
