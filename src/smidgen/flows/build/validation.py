"""Cross-validation: a model trained on the other rows answers each row, in five parts. It uses all rows, not only the test rows.

It measures models trained on four fifths of the rows, so it is a little lower than with all of them. The parts are drawn like the test
rows: by stratum, near-duplicates in one part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smidgen.core.parts import Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data.splits import split_rows
from smidgen.flows import answer_files
from smidgen.flows.build import training
from smidgen.flows.build.examples import training_table
from smidgen.flows.build.work import BuildContext, Work
from smidgen.judge.sections import CrossValidation, measured
from smidgen.judge.wording import FEW
from smidgen.text import near_duplicates

FOLDS = 5
QUICK = 60.0
"""Most seconds of five more trainings for unrequested cross-validation with a small test."""
_LEAST_ROWS = 2 * FOLDS


def cross_validate(work: Work, context: BuildContext) -> Work:
    """Cross-validate the chosen student on request, or if the test is small and it takes seconds; else report its expected time. There is
    no section if it is impossible, or would show nothing."""
    asked, task = work.errors is not None, work.task
    if not asked and (work.lineage is not None or len(work.test) >= FEW):
        return work
    # For students that answer together, the first one is used.
    chosen = work.packed.chosen.student
    part = work.students[chosen].part
    name = part.partners[0] if part.partners else chosen
    learnt, rows = work.trained[name], _every(work)
    own = task.writes or task.makes_examples or work.members  # of one that consists of other models nothing learns from these rows
    if own or work.teacher is not None or len(rows) < _LEAST_ROWS:
        return work
    estimate = FOLDS * learnt.files.seconds
    if not asked and estimate > QUICK:
        return replace(work, crossed=CrossValidation(folds=FOLDS, n=len(rows), student=name, seconds=estimate))
    replies: dict[int, Reply] = {}
    seconds = 0.0
    for number, fold in enumerate(_folds(rows, task, work.recipe.seed), 1):
        away = {id(row) for row in fold}
        rest = [row for row in rows if id(row) not in away]
        fitted = training.fit(work, context, name, rest, (), f"cross-validate {name}, part {number} of {FOLDS}", spare=True)
        seconds += fitted.seconds
        answered = task.decode(training.raw(work, context, fitted, [row.input for row in fold]), learnt.form)
        replies |= {id(row): reply for row, reply in zip(fold, answered, strict=True)}
    found = [replies[id(row)] for row in rows]
    metric = measured(task.measure(rows, found, learnt.form)[task.headline])
    crossed = CrossValidation(folds=FOLDS, n=len(rows), student=name, seconds=seconds, metric=metric)
    return replace(work, crossed=crossed, answered=tuple(zip(rows, found, strict=True)))


def write_errors(work: Work) -> int | None:
    """Write the wrongly answered rows, in the format of their file; returns their number. None if no file was requested. Raises as
    `answer_files.write_error_file` does."""
    if work.errors is None or work.crossed is None:
        return None
    rows, replies = [row for row, _ in work.answered], [reply for _, reply in work.answered]
    wrong = answer_files.wrong_rows(work.task, work.form, rows, replies, rows)
    return answer_files.write_error_file(work.errors, training_table(work), wrong)


def _every(work: Work) -> list[Row]:
    """The rows of the training file, in its order."""
    test = work.test if work.test_sha256 is None else []
    return sorted({row.number: row for row in (*work.train, *work.held, *test)}.values(), key=lambda row: row.number)


def _folds(rows: Sequence[Row], task: Task, seed: int) -> list[list[Row]]:
    """The rows in parts of about equal size."""
    groups = dict(zip((id(row) for row in rows), near_duplicates.near_groups([joined(row.input) for row in rows]), strict=True))
    strata = dict(zip((id(row) for row in rows), task.strata(rows), strict=True))
    left, made = list(rows), []
    for count in range(FOLDS, 1, -1):
        kept, held = split_rows(
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
