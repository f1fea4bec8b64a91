"""What a small test cannot tell: cross-validation over all rows, and a learning curve in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smidgen.core.errors import InputError
from smidgen.core.forms import Form, LabelForm
from smidgen.core.parts import Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data.settings import DataSettings
from smidgen.data.splits import split_rows
from smidgen.data.tables import STDIN, open_table
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows import answer_files
from smidgen.flows.build.candidates import TrainingResult
from smidgen.flows.build.examples import Examples, path_of
from smidgen.flows.build.training import StudentTrainer
from smidgen.flows.embedding import Embed
from smidgen.judge.sections import CrossValidation, measured
from smidgen.judge.wording import FEW
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.stats import kernel_ridge
from smidgen.text import near_duplicates

# Cross-validation: every row answered by a model that learnt from the others, in five parts. It uses all rows where a test uses some.
#
# It measures models that learnt from four fifths of the rows, so it is a little lower than what all of them would give. The parts are
# drawn like the test rows are: by stratum, near-duplicates in one part.

FOLDS = 5
QUICK = 60.0
"""Seconds that five more trainings may take for cross-validation to be made unasked, where the test is small."""
_LEAST_ROWS = 2 * FOLDS


@dataclass(frozen=True)
class CrossValidationRun:
    """What came of it: for the report, and the rows with their answers; none where it was not made."""

    section: CrossValidation
    rows: tuple[Row, ...] = ()
    replies: tuple[Reply, ...] = ()


def check_errors_file(recipe: Recipe, task: Task, form: Form, errors: str | None) -> None:
    """Raises InputError where a file of errors is asked for and there can be none, before anything is trained."""
    if errors is None:
        return
    settings = recipe.settings(DataSettings)
    if task.formed(form).writes or recipe.settings(TeacherSettings).source is not None or settings.train in (None, STDIN):
        raise InputError(
            "errors over all rows are of models that choose or find, taught by a file of rows alone",
            value=errors,
            todo="Leave --errors out, and measure the model on a file: smidgen eval DIR --data FILE --errors FILE.",
        )
    answer_files.error_file_for(errors, open_table(path_of(str(settings.train), recipe), settings=settings, most_labels=task.most_columns))


def cross_validate(
    recipe: Recipe, task: Task, examples: Examples, bench: StudentTrainer, trained: TrainingResult, student: str, *, asked: bool
) -> CrossValidationRun | None:
    """Cross-validate the chosen student where it is asked for, or the test is small and it takes seconds; else say what it would take. None
    where it cannot be, or would say nothing.

    Args:
        task: formed.
        student: of students that answer together the first is meant.
    """
    kind = student.partition("+")[0]
    learnt = trained.learnt[kind]
    if task.writes or examples.teacher is not None or learnt.settings is None:
        return None
    if not asked and len(examples.test) >= FEW:
        return None
    rows = _every(examples)
    if len(rows) < _LEAST_ROWS:
        return None
    estimate = FOLDS * learnt.final.seconds
    if not asked and estimate > QUICK:
        return CrossValidationRun(CrossValidation(folds=FOLDS, n=len(rows), student=kind, seconds=estimate))
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
    return CrossValidationRun(
        CrossValidation(folds=FOLDS, n=len(rows), student=kind, seconds=seconds, metric=metric), tuple(rows), tuple(found)
    )


def write_errors(found: CrossValidationRun, recipe: Recipe, task: Task, form: Form, out: str) -> int:
    """Write the rows that were answered wrong, in the dialect of their file; how many. Raises as `error_file.write` does."""
    settings = recipe.settings(DataSettings)
    plain: Task = registry.find("tasks", recipe.task)
    table = open_table(path_of(str(settings.train), recipe), settings=settings, most_labels=plain.most_columns)
    wrong = answer_files.wrong_rows(task, form, found.rows, found.replies, found.rows)
    return answer_files.write_error_file(out, table, wrong)


def _every(examples: Examples) -> list[Row]:
    """The rows of the training file, in its order."""
    test = examples.test if examples.test_sha256 is None else []
    return sorted({row.number: row for row in (*examples.train, *examples.held, *test)}.values(), key=lambda row: row.number)


def _folds(rows: Sequence[Row], task: Task, seed: int) -> list[list[Row]]:
    """The rows in parts of about the same size."""
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


# How accuracy grows with training rows, measured in seconds instead of by training the student again and again.
#
# A head is fitted in closed form (`stats/kernel_ridge.py`) on the frozen base's vectors of an eighth, a quarter, half and all of the
# training rows, and tested on the test rows. The student makes fewer errors than this stand-in; its errors are taken to fall at the
# same rate, so the stand-in's error at each size is scaled by the ratio of the two at full size.

SHARES = (0.125, 0.25, 0.5, 1.0)
DRAWS = 3
ABOUT = (
    "Measured with a kernel head on the frozen base at each size, up to 3 draws, and scaled to this model's errors at full size: "
    "the rate at which errors fall is taken to be the same."
)
_MOST_ROWS = 10_000
_MANY = 4_000
"""Rows, a draw of which says as much as three do of fewer, and takes seconds."""
_LANDMARKS = 2048
"""Fewer would keep the head from learning what the rows past them teach, and so say that more rows are of no use."""

Points = list[tuple[int, float]]


def learning_curve(rows: Sequence[Row], test: Sequence[Row], form: LabelForm, accuracy: float, embed: Embed, seed: int) -> Points:
    """(rows, accuracy) at each size and draw, for a model that has `accuracy` with all rows. Empty where a curve cannot be measured:
    several labels a text, or too few rows."""
    index = {label: number for number, label in enumerate(form.labels)}
    rows = [row for row in rows if isinstance(row.output, str) and row.output in index]
    test = [row for row in test if isinstance(row.output, str) and row.output in index]
    if form.multi_label or len(rows) < 8 * len(index) or not test:
        return []
    rng = np.random.default_rng([seed, 11])
    rows = [rows[number] for number in rng.permutation(len(rows))[:_MOST_ROWS]]
    test = [test[number] for number in rng.permutation(len(test))[:_MOST_ROWS]]
    vectors, targets = embed([row.input for row in rows]), np.array([index[row.output] for row in rows])
    asked, gold = embed([row.input for row in test]), np.array([index[row.output] for row in test])
    found: Points = []
    for share in SHARES:
        n = round(share * len(rows))
        for _ in range(DRAWS if n <= _MANY else 1):
            drawn = rng.permutation(len(rows))[:n]
            said = kernel_ridge.fit_classifier(vectors[drawn], targets[drawn], len(index), _LANDMARKS).scores(asked)
            found.append((n, float((said.argmax(axis=1) == gold).mean())))
    whole = 1 - found[-1][1]
    scale = (1 - accuracy) / whole if whole > 0 else 1.0
    return [(n, max(0.0, 1 - scale * (1 - value))) for n, value in found]
