"""What a certificate says of the answer to a typed question: something where the answer follows from the bundle's own, else nothing.

A certificate is of the bundle's own answer: the one label that it gives of all its labels. Where that label is right, so is the option that
holds it, and so is the yes or no to it. Where a question leaves labels out, those texts that it answers are others than the certificate
speaks of; an expected level, a probability by itself, a field out of an object are no answers of the bundle's at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.core.replies import Reply
from smidgen.server.questions import ChoiceQuestion, Labels, Match, NoulQuestion

_HALF = 0.5


def uncovered(found: Match, known: object, reply: Reply, answered: Mapping[str, Any]) -> str:
    """Why a certificate of the bundle says nothing of this answer, in a few words; empty where it does.

    Args:
        found: how the question is answered.
        known: what the bundle can be asked about.
        reply: the bundle's own answer.
        answered: the answer to the question.
    """
    if not isinstance(known, Labels):
        return "a field (the certificate is of the whole object)"
    if known.several or not isinstance(reply.output, str):
        return "one of several labels (the certificate is of all together)"
    if isinstance(found.question, NoulQuestion):
        yes, no = found.groups
        if no and not known.leaves_none_out((yes, no)):
            return "options (they leave out labels of the bundle)"
        chance = answered["noul"]
        follows = chance > _HALF if reply.output in yes else chance < _HALF
        return "" if follows else "another answer than the bundle's own"
    if not isinstance(found.question, ChoiceQuestion):
        return "a score (an expected level is no answer of the bundle's)"
    if not known.leaves_none_out(found.groups):
        return "options (they leave out labels of the bundle)"
    chosen = found.groups[list(found.question.criteria).index(answered["choice"])]
    return "" if reply.output in chosen else "another answer than the bundle's own"
