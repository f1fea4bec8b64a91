"""Cross-validation: a model trained on the other rows answers each row, in five parts. It uses all rows, not only the test rows.

It measures models trained on four fifths of the rows. The model that is served learns from a few more (17 of 20 by default), so the result
is a little too low rather than too high. Near-duplicates are in one part.

Where labels with one row were left out, a row counts only if its label has two others: without the row, its label would have been left out,
too. The metric is of texts with labels that the model knows.

The interval for independent rows is too narrow, because the five models share rows, and one served model differs from their mean. It is
widened by sqrt(1 + k / (k - 1)) for k parts (Nadeau and Bengio 2003). `python -m bench coverage` counts how often it holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from smidgen.core.rows import Row
from smidgen.flows import answer_files
from smidgen.flows.build.cross_fitting import FOLDS, LEAST_ROWS, can_cross_fit, cross_fit, is_quick
from smidgen.flows.build.examples import training_table
from smidgen.flows.build.work import BuildContext, Work
from smidgen.judge.sections import CrossValidation, Measured, measured
from smidgen.judge.wording import FEW


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
    if not can_cross_fit(work, rows):
        return work
    if not asked and not is_quick(learnt.part_seconds):
        estimate = FOLDS * learnt.part_seconds
        return replace(work, crossed=CrossValidation(folds=FOLDS, n=len(rows), student=name, seconds=estimate))
    fitted = cross_fit(work, context, name, rows)
    if fitted is None:
        return work
    replies = dict(zip(map(id, fitted.rows), task.decode(fitted.raw, learnt.form), strict=True))
    found = [replies[id(row)] for row in rows]
    counted = _counted(work, rows)
    metric = measured(task.measure([rows[at] for at in counted], [found[at] for at in counted], learnt.form)[task.headline])
    crossed = CrossValidation(folds=FOLDS, n=len(rows), student=name, seconds=fitted.seconds, uncounted=len(rows) - len(counted))
    crossed = crossed.model_copy(update={"metric": _widened(metric, crossed.widening)})
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


def _counted(work: Work, rows: Sequence[Row]) -> Sequence[int]:
    """Places of the rows that the metric counts: all, or those whose label would be known without the row, if these are enough."""
    if not work.left_out:
        return range(len(rows))
    strata = work.task.strata(rows)
    counts = Counter(strata)
    known = [place for place, stratum in enumerate(strata) if counts[stratum] > 2]
    return known if len(known) >= LEAST_ROWS else range(len(rows))


def _widened(found: Measured | None, times: float) -> Measured | None:
    """The metric, a share, with an interval so many times as wide."""
    if found is None:
        return None
    low, high = found.value - times * (found.value - found.low), found.value + times * (found.high - found.value)
    return found.model_copy(update={"low": max(0.0, low), "high": min(1.0, high)})
