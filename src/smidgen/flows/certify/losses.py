"""Losses: the quantities whose mean a certificate bounds, and the loss of a local answer against the large model's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from smidgen.core.errors import InputError, TeacherError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.build.teachers import open_remote
from smidgen.flows.local_model import Model
from smidgen.stats.classification_metrics import reply_grades
from smidgen.stats.intervals import Floats

# A right-or-wrong answer has one loss; a written text has a choice of three.

Choice = Literal["likeness", "attributes", "judge"]

Marking = Callable[[Sequence[Text], Sequence[Reply]], list[float]]
"""A judge's marks for answers to texts, each 0..1."""


@dataclass(frozen=True)
class Loss:
    """A loss function.

    Attributes:
        words: description for a reader.
        graded: whether values lie anywhere in 0..1; else they are 0 or 1.
        measure: maps rows with the reference's outputs, and the replies to them, to one value each.
        gathers: whether rows with the same text are its references, of which the best one counts: they are then one row, not several
            requests.
    """

    words: str
    graded: bool
    measure: Callable[[Sequence[Row], Sequence[Reply]], ArrayLike]
    gathers: bool = False

    def of(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Floats:
        """Return the losses, shape (n,), in 0..1; 1 if the measure is not a number."""
        return np.clip(np.nan_to_num(np.asarray(self.measure(rows, replies), dtype=np.float64), nan=1.0), 0.0, 1.0)


def choose_loss(choice: Choice, task: Task, form: Form, marking: Marking | None = None) -> Loss:
    """Return the loss function that is asked for.

    Args:
        choice: `likeness` to the reference's outputs; `attributes` of the text that the answer leaves out or makes up; `judge`, 1 minus the
            judge's mark.
        marking: the judge.

    Raises InputError if the task or the bundle does not have this loss.
    """
    check_loss(choice, task)
    if choice == "likeness":
        return _likeness(task, form)
    if choice == "judge":
        if marking is None:
            raise InputError("flows.no_judge_was_named")
        judge = marking
        return Loss(
            "1 − the judge's mark",
            True,
            lambda rows, replies: 1.0 - np.asarray(judge([row.input for row in rows], replies)),
        )
    if task.checks is None or not task.checks.measurable(form):
        raise InputError("flows.bundle_does_not_check_attributes")
    return Loss(
        "the share of the request's attributes that the text leaves out or makes up, as the bundle's own lexicon reads it",
        True,
        lambda rows, replies: [missed_attributes(task, form, row.input, reply) for row, reply in zip(rows, replies, strict=True)],
    )


def check_loss(choice: Choice, task: Task) -> None:
    """Raise InputError if the task has no such loss. This check needs no bundle."""
    if choice != "likeness" and task.grading is None:
        raise InputError("flows.loss_is_only_for_written_texts", choice=choice, name=task.name)


def missed_attributes(task: Task, form: Form, text: Text, reply: Reply) -> float:
    """Return the loss of one answer by the attributes of its text, 0..1; 1 if they cannot be checked, so that such an answer never counts
    as good."""
    if task.checks is None or not isinstance(reply.output, str):
        return 1.0
    (share,) = task.checks.missed([text], [reply.output], form)
    return 1.0 if share is None else share


def _likeness(task: Task, form: Form) -> Loss:
    graded = task.grading is not None
    return Loss(task.loss_words, graded, lambda rows, replies: 1.0 - np.asarray(reply_grades(task, rows, replies, form)), gathers=graded)


# Disagreement: the loss of a local answer against the large model's answer to the same request, as the certificate counts it.
#
# Audits and held-out requests that certify must read the large model's text by the same rule. If audits were stricter, they would revoke a
# certificate for disagreements that its test allowed.

_LONGEST = 32_768


def disagreement(task: Task, form: Form, text: Text, reply: Reply, said: str) -> float:
    """Return the disagreement in 0..1: for a written text 1 − ROUGE-L, else 0 for equal answers and 1 for others.

    If the large model's text cannot be read as an output, the loss is 1.

    Args:
        task, form: of the bundle.
        text: the request's text.
        reply: the bundle's answer.
        said: the large model's answer.
    """
    try:
        output = read_reference(task, form, text, said)
    except ValueError:
        return 1.0
    return float(choose_loss("likeness", task, form).of([Row(text, output)], [reply])[0])


def read_reference(task: Task, form: Form, text: Text, said: str) -> Any:
    """Read a large model's text as the reference output: as a teacher's answer (`Teaching.read`), or unchanged for a written text.

    Raises ValueError for a text that no answer can agree with: one that cannot be read (a sentence about a label, a refusal, nothing), or
    is longer than 32,768 characters.
    """
    if len(said) > _LONGEST:
        raise ValueError("it is too long")
    if task.grading is not None:
        if not said.strip():
            raise ValueError("it is empty")
        return said
    if task.teaching is None:
        raise ValueError("no larger model can be asked to do this task")
    return task.teaching.read(bare_answer(task, said), form, text)


def bare_answer(task: Task, said: str) -> str:
    """Return a large model's answer without its JSON wrapper:

    `refund` for `{"category": "refund"}`. Not for tasks that write texts or objects.
    """
    return said if task.writes else unwrap_field(said)


def unwrap_field(said: str) -> str:
    """Return the value of a JSON object with exactly one field; anything else unchanged. A value that is not a string stays JSON."""
    if not said.lstrip().startswith("{"):
        return said
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return said
    if not isinstance(found, Mapping) or len(found) != 1:
        return said
    (value,) = found.values()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_LEAST_MARKED = 0.95
_THOUGHT = 2_048
"""Tokens that a thinking judge may use for thinking."""


@contextmanager
def open_judge(model: Model, settings: TeacherSettings, threads: int | None, progress: Progress) -> Iterator[Marking]:
    """Open a judge over HTTP, and yield the function that marks this bundle's texts.

    Personal data is removed from what a remote judge is sent. Calls are cached, retried and kept within the budget, as a teacher's are. The
    function raises InputError if too few answers got a mark, and TeacherError if the judge cannot be asked.

    Raises InputError if the judge is not a URL, or no larger model can do the task; RecipeError if the budget is missing or the key
    invalid; RedactionError if the instruction cannot be made safe to send.
    """
    if not settings.url:
        raise InputError("flows.judge_must_be_url", value=settings.source)
    if model.task.teaching is None or model.task.teacher_sources is not None:
        raise InputError("flows.judge_cannot_mark_this_task", value=model.manifest.task)
    roomy = settings.model_copy(update={"max_tokens": settings.max_tokens or _THOUGHT})
    judge = open_remote(roomy, model.task, model.form, (), None, False, threads)
    judge.thinks = True  # it may think, and unused tokens cost nothing

    def mark(texts: Sequence[Text], replies: Sequence[Reply]) -> list[float]:
        try:
            found = judge.scores([Row(text, str(reply.output)) for text, reply in zip(texts, replies, strict=True)], progress)
        except TeacherError as error:
            raise TeacherError("flows.judge_could_not_be_asked", value=f"{error.what}: {error.value}", key_env=settings.key_env) from error
        marked = sum(score is not None for score in found)
        if marked < _LEAST_MARKED * len(found):
            raise InputError("flows.judge_did_not_mark_answers", marked=marked, found=len(found))
        if marked < len(found):
            progress.say(f"{len(found) - marked:,} answers got no mark, and count as wholly wrong")
        return [0.0 if score is None else score for score in found]

    try:
        yield mark
    finally:
        judge.close()
