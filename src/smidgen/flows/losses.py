"""Losses: what the risk of a certificate is the mean of. Answers that are right or wrong have one; texts have a choice of three."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from smidgen.core.errors import InputError
from smidgen.core.parts import Form, Graded, Stating, Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.stats.intervals import Floats
from smidgen.stats.patterns import same

Choice = Literal["likeness", "attributes", "judge"]

Marking = Callable[[Sequence[Text], Sequence[Reply]], list[float]]
"""What a judge says of answers to texts: a mark of each, 0..1."""

_ONLY_TEXTS = "Leave --loss out: these answers are right or wrong, and the certificate counts the wrong ones."


@dataclass(frozen=True)
class Loss:
    """A loss.

    Attributes:
        words: what it is, for a reader.
        graded: whether it lies anywhere in 0..1; else it is 0 or 1.
        measure: from rows with the reference's outputs, and the replies to them, to one value each.
        gathers: whether rows of one text are its references, of which the best one counts: then they are one row, not several requests.
    """

    words: str
    graded: bool
    measure: Callable[[Sequence[Row], Sequence[Reply]], ArrayLike]
    gathers: bool = False

    def of(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Floats:
        """(n,) losses in 0..1; 1 where the measure is no number."""
        return np.clip(np.nan_to_num(np.asarray(self.measure(rows, replies), dtype=np.float64), nan=1.0), 0.0, 1.0)


def chosen(choice: Choice, task: Task, form: Form, marking: Marking | None = None) -> Loss:
    """The loss that is asked for.

    Args:
        choice: `likeness`, to the reference's outputs; `attributes` of the text that the answer leaves out or makes up; `judge`, what its
            marks leave of 1.
        marking: the judge.

    Raises InputError where it is not known of this task.
    """
    check(choice, task)
    if choice == "likeness":
        return _likeness(task, form)
    if choice == "judge":
        if marking is None:
            raise InputError("no judge was named", value="--loss judge", todo="Give --judge URL --judge-model NAME.")
        judge = marking
        return Loss(
            "1 − the judge's mark",
            True,
            lambda rows, replies: 1.0 - np.asarray(judge([row.input for row in rows], replies)),
        )
    if not isinstance(task, Stating) or not form.get("attributes"):
        raise InputError(
            "the bundle does not check attributes",
            value="--loss attributes",
            todo="Certify with --loss likeness; or build on inputs that are attributes (`name: Oak stool; colour: red`).",
        )
    return Loss(
        "the share of the request's attributes that the text leaves out or makes up, as the bundle's own lexicon reads it",
        True,
        lambda rows, replies: [missed(task, form, row.input, reply) for row, reply in zip(rows, replies, strict=True)],
    )


def check(choice: Choice, task: Task) -> None:
    """Raises InputError where no bundle of the task has such a loss: what can be said before there is one."""
    if choice != "likeness" and not isinstance(task, Graded):
        raise InputError("only texts have a choice of losses", value=f"--loss {choice} for {task.name}", todo=_ONLY_TEXTS)


def missed(task: Task, form: Form, text: Text, reply: Reply) -> float:
    """The loss of one answer by the attributes of its text, 0..1. 1 where they cannot be checked, so that it never counts as well said."""
    if not isinstance(task, Stating) or not isinstance(reply.output, str):
        return 1.0
    (share,) = task.misses([text], [reply.output], form)
    return 1.0 if share is None else share


def _likeness(task: Task, form: Form) -> Loss:
    if isinstance(task, Graded):
        graded: Graded = task
        return Loss(
            "1 − ROUGE-L of the best reference",
            True,
            lambda rows, replies: 1.0 - np.asarray(graded.grades(rows, replies, form)),
            gathers=True,
        )
    words = "the answer is not the reference's" if task.name == "classify" else "the answer is not exactly the reference"
    return Loss(words, False, lambda rows, replies: ~same(_outputs(rows), _outputs(replies)))


def _outputs(given: Sequence[Row] | Sequence[Reply]) -> list[Any]:
    return [one.output for one in given]
