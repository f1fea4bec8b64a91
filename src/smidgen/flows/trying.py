"""A teacher tried on the user's own rows, before anything is bought of it: how well it does, what it must be able to reach, and what a
student of it may come to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from smidgen.core.errors import TeacherError
from smidgen.core.metrics import Metric
from smidgen.core.parts import Graded, Overlapping, Task
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data.teacher import trial as trials
from smidgen.data.teacher.exchange import Why
from smidgen.data.teacher.prompts import Embed
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.data.teacher.trial import Trial
from smidgen.data.teacher.verdicts import CUT, Verdict
from smidgen.flows.examples import Examples
from smidgen.flows.teachers import Local, Remote
from smidgen.parts.recipe import Recipe

_LEAST_ALONE = 2.0
"""Rows a label that it takes for a head on frozen vectors to say anything of rows that it has not seen."""
_NOT_ASKED = (Why.BUDGET, Why.PRIVATE)


def tried(recipe: Recipe, task: Task, examples: Examples, teacher: Remote | Local, embed: Embed | None, progress: Progress) -> Trial:
    """The teacher on the user's own rows. Raises TeacherError for one that cannot do the job."""
    settings = recipe.settings(TeacherSettings)
    own = [*examples.fit, *examples.held]
    rows = [own[place] for place in trials.draw(own, task.strata(own), settings.trial_rows, recipe.seed)]
    verdicts = teacher.verdicts(rows, 1, "try the teacher on your own rows", progress)
    heard = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if verdict.agreement or verdict.why_not not in _NOT_ASKED]
    if not heard:
        raise TeacherError(
            "the teacher could not be tried on any of your own rows",
            value=verdicts[0].why_not if verdicts else "no rows",
            todo="Raise the budget, or use a teacher on this machine for texts that may not leave it.",
        )
    quality = _quality(task, heard, examples)
    alone, needed, reason = _bar(task, examples, embed, recipe)
    if settings.min_quality is not None:
        needed, reason = settings.min_quality, "data.teacher.min_quality"
    unheard = sum(verdict.output is None for _, verdict in heard)
    cut = sum(verdict.why_not == CUT for _, verdict in heard)
    most, thinks = (teacher.max_tokens, teacher.thinks) if isinstance(teacher, Remote) else (None, False)
    found = Trial(quality, unheard, needed, reason, alone, cut, most, thinks)
    progress.say(f"the teacher's {unit(task)} on {quality.n} of your rows: {quality.value:.1%} ({quality.low:.1%} to {quality.high:.1%})")
    trials.require(found, settings.source or "", unit(task))
    if cut:
        progress.say(trials.cut_off(found))
    return found


def unit(task: Task) -> str:
    """What is measured of a teacher: the mean grade, F1 of the parts of its answers, or how many of its answers are the user's own."""
    return task.headline if isinstance(task, Graded | Overlapping) else "accuracy"


def _quality(task: Task, tried: Sequence[tuple[Row, Verdict]], examples: Examples) -> Metric:
    """How well the teacher did, with a 95 % interval. What could not be used is wrong: of answers in parts, all are missing."""
    if isinstance(task, Overlapping):
        return _in_parts(task, [row for row, _ in tried], [verdict.output for _, verdict in tried], examples)
    return trials.quality([_value(task, row, verdict, examples) for row, verdict in tried], isinstance(task, Graded))


def _in_parts(task: Task, rows: Sequence[Row], outputs: Sequence[Any], examples: Examples) -> Metric:
    """The headline metric of outputs that may be right in part; 0 where there is nothing to find."""
    nothing: Any = [] if "kinds" in examples.form else None
    replies = [Reply(nothing if output is None else output, 1.0) for output in outputs]
    found = task.measure(rows, replies, examples.form)[task.headline]
    return Metric(0.0, 0.0, 1.0, found.n) if math.isnan(found.value) else found


def _value(task: Task, row: Row, verdict: Verdict, examples: Examples) -> float:
    if verdict.output is None:
        return 0.0
    if isinstance(task, Graded):
        return task.grades([row], [Reply(verdict.output, 1.0)], examples.form)[0]
    return float(verdict.output == row.output)


def _bar(task: Task, examples: Examples, embed: Embed | None, recipe: Recipe) -> tuple[float | None, float, str]:
    """What the user's rows teach without a teacher (None where that is not known), what a teacher must reach, and why."""
    rows = examples.fit
    if isinstance(task, Graded):
        # Any text of the house scores something against any other; a teacher must do better than that.
        others = [rows[(place + 1) % len(rows)] for place in range(len(rows))][: recipe.settings(TeacherSettings).trial_rows]
        pairs = list(zip(rows, others, strict=False))
        gathered = [task.gathered([other])[0].output for _, other in pairs]
        replies = [Reply(output[0] if isinstance(output, list) else output, 1.0) for output in gathered]
        grades = task.grades([row for row, _ in pairs], replies, examples.form)
        return None, float(np.mean(grades)), "what the answer to another of your texts would get"
    if isinstance(task, Overlapping):
        found = _in_parts(task, rows, task.by_heart(rows, examples.form), examples)
        return None, found.value, "what knowing your rows by heart would get"
    strata = task.strata(rows)
    if examples.form.get("multi_label") or embed is None or len(rows) < _LEAST_ALONE * len(set(strata)):
        commonest = Counter(strata).most_common(1)[0][1] / len(rows)
        return None, commonest, "what the commonest answer would get"
    alone = trials.alone(embed([joined(row.input) for row in rows]), strata)
    return alone, alone, "what a linear model learns from your rows without it"


def outlook(task: Task, examples: Examples, embed: Embed | None, trial: Trial, more: int, seed: int) -> tuple[float, float]:
    """Between which values the student is expected: from what a kernel head would make of so many more rows, where the teacher is not worse
    than that, to the teacher itself."""
    low = trial.quality.low
    if trial.alone is not None and embed is not None:
        rows = examples.fit
        low = min(low, trials.outlook(embed([joined(row.input) for row in rows]), task.strata(rows), more, seed))
    return low, max(low, trial.quality.high)
