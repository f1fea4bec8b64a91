"""Losses: what a certificate bounds the mean of; and the loss of a local answer against the large model's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from smidgen.core.errors import InputError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.stats.classification_metrics import same_labels
from smidgen.stats.intervals import Floats

# Losses: what the risk of a certificate is the mean of. Answers that are right or wrong have one; texts have a choice of three.

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


def choose_loss(choice: Choice, task: Task, form: Form, marking: Marking | None = None) -> Loss:
    """The loss that is asked for.

    Args:
        choice: `likeness`, to the reference's outputs; `attributes` of the text that the answer leaves out or makes up; `judge`, what its
            marks leave of 1.
        marking: the judge.

    Raises InputError where it is not known of this task.
    """
    check_loss(choice, task)
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
    if not task.states(form):
        raise InputError(
            "the bundle does not check attributes",
            value="--loss attributes",
            todo="Certify with --loss likeness; or build on inputs that are attributes (`name: Oak stool; colour: red`).",
        )
    return Loss(
        "the share of the request's attributes that the text leaves out or makes up, as the bundle's own lexicon reads it",
        True,
        lambda rows, replies: [missed_attributes(task, form, row.input, reply) for row, reply in zip(rows, replies, strict=True)],
    )


def check_loss(choice: Choice, task: Task) -> None:
    """Raises InputError where no bundle of the task has such a loss: what can be said before there is one."""
    if choice != "likeness" and not task.graded:
        raise InputError("only written texts have a choice of losses", value=f"--loss {choice} for {task.name}", todo=_ONLY_TEXTS)


def missed_attributes(task: Task, form: Form, text: Text, reply: Reply) -> float:
    """The loss of one answer by the attributes of its text, 0..1. 1 where they cannot be checked, so that it never counts as well said."""
    if not isinstance(reply.output, str):
        return 1.0
    (share,) = task.misses([text], [reply.output], form)
    return 1.0 if share is None else share


def _likeness(task: Task, form: Form) -> Loss:
    if task.graded:
        return Loss(task.loss_words, True, lambda rows, replies: 1.0 - np.asarray(task.grades(rows, replies, form)), gathers=True)
    return Loss(task.loss_words, False, lambda rows, replies: ~same_labels(_outputs(rows), _outputs(replies)))


def _outputs(given: Sequence[Row] | Sequence[Reply]) -> list[Any]:
    return [one.output for one in given]


# Disagreement: the loss of a local answer against what the large model says of the same request, as the certificate counts it.
#
# What of a large model's text counts as said is settled here, for audits and for held-out requests that certify: were one of them
# stricter, a certificate would be revoked for what it was given in spite of.

_LONGEST = 32_768


def disagreement(task: Task, form: Form, text: Text, reply: Reply, said: str) -> float:
    """In 0..1: of a written text 1 − ROUGE-L, of anything else 0 where both say the same and 1 where not.

    A large model's text that cannot be heard as an output agrees with no answer: its loss is 1.

    Args:
        task, form: of the bundle.
        text: what was asked about.
        reply: what the bundle said.
        said: what the large model said.
    """
    try:
        output = read_reference(task, form, text, said)
    except ValueError:
        return 1.0
    return float(choose_loss("likeness", task, form).of([Row(text, output)], [reply])[0])


def read_reference(task: Task, form: Form, text: Text, said: str) -> Any:
    """A large model's text as the output that answers are held against: read as a teacher's answer is (`Task.heard`), and of a written
    text as it stands.

    Raises ValueError for one that no answer agrees with: one that cannot be read so (a sentence about a label, a refusal, nothing), and one
    of more than 32,768 characters.
    """
    if len(said) > _LONGEST:
        raise ValueError("it is too long")
    if task.graded:
        if not said.strip():
            raise ValueError("it is empty")
        return said
    return task.heard(bare_answer(task, said), form, text)


def bare_answer(task: Task, said: str) -> str:
    """What a large model said, without what it was held to: the value of an object with one field (`{"category": "refund"}`), of a task
    whose outputs are neither texts nor objects."""
    return said if task.writes else unwrap_field(said)


def unwrap_field(said: str) -> str:
    """The value of an object with one field, which is all that was said; anything else as it is. What is no text stands as JSON."""
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
