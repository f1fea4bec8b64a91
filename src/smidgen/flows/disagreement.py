"""Disagreement: the loss of a local answer against what the large model says of the same request, as the certificate counts it.

What of a large model's text counts as said is settled here, for audits and for held-out requests that certify: were one of them stricter, a
certificate would be revoked for what it was given in spite of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smidgen.core.parts import Form, Graded, Task, Teachable, Worded
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.flows import losses

_LONGEST = 32_768


def loss(task: Task, form: Form, text: Text, reply: Reply, said: str) -> float:
    """In 0..1: of a written text 1 − ROUGE-L, of anything else 0 where both say the same and 1 where not.

    A large model's text that cannot be heard as an output agrees with no answer: its loss is 1.

    Args:
        task, form: of the bundle.
        text: what was asked about.
        reply: what the bundle said.
        said: what the large model said.
    """
    try:
        output = heard(task, form, text, said)
    except ValueError:
        return 1.0
    return float(losses.chosen("likeness", task, form).of([Row(text, output)], [reply])[0])


def heard(task: Task, form: Form, text: Text, said: str) -> Any:
    """A large model's text as the output that answers are held against: read as a teacher's answer is (`Teachable.heard`), and of a written
    text as it stands.

    Raises ValueError for one that no answer agrees with: one that cannot be read so (a sentence about a label, a refusal, nothing), and one
    of more than 32,768 characters.
    """
    if len(said) > _LONGEST:
        raise ValueError("it is too long")
    if isinstance(task, Graded):
        if not said.strip():
            raise ValueError("it is empty")
        return said
    if not isinstance(task, Teachable):
        raise ValueError("no large model can be asked to do this task")
    return task.heard(bare(task, said), form, text)


def bare(task: Task, said: str) -> str:
    """What a large model said, without what it was held to: the value of an object with one field (`{"category": "refund"}`), of a task
    whose outputs are neither texts nor objects."""
    return said if isinstance(task, Graded | Worded) else unwrapped(said)


def unwrapped(said: str) -> str:
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
