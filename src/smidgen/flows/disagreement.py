"""Disagreement: the loss of a local answer against what the large model says of the same request, as the certificate counts it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from smidgen.core.parts import Form, Graded, Task, Teachable, Worded
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.stats.patterns import same

_LONGEST = 32_768


def loss(task: Task, form: Form, text: Text, reply: Reply, said: str) -> float:
    """In 0..1: of a written text 1 − ROUGE-L, of anything else 0 where both say the same and 1 where not.

    The large model's text is read as a teacher's answer is (`Teachable.heard`). One that cannot be read so (a sentence about a label, a
    refusal, nothing) agrees with no answer, and neither does one of more than 32,768 characters: its loss is 1.

    Args:
        task, form: of the bundle.
        text: what was asked about.
        reply: what the bundle said.
        said: what the large model said.
    """
    if len(said) > _LONGEST:
        return 1.0
    if isinstance(task, Graded):
        if not said.strip():
            return 1.0
        (grade,) = task.grades([Row(text, said)], [reply], form)
        return min(1.0, max(0.0, 1.0 - grade)) if math.isfinite(grade) else 1.0
    if not isinstance(task, Teachable):
        return 1.0
    try:
        heard = task.heard(said if isinstance(task, Worded) else _bare(said), form, text)
    except ValueError:
        return 1.0
    return 0.0 if bool(same([heard], [reply.output])[0]) else 1.0


def _bare(said: str) -> str:
    """The value of an object with one field: how a large model answers where it is held to a schema (`{"category": "refund"}`)."""
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
