"""From a teacher's votes to one answer; and its marks, 0 to 10, for answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.data.teacher.questions import NoAnswerReason, TeacherAnswer

# From a teacher's votes to one answer: how much of them it has, and whether that is enough.

Agree = Callable[[Sequence[Any]], NDArray[np.float64]]
"""How much each of k answers to one input agrees with each: (k, k) in 0..1."""

CUT = "the answer was cut off"
UNHEARD = "the answer could not be used"
SPLIT = "the votes do not agree"


@dataclass(frozen=True, slots=True)
class VoteResult:
    """What a teacher's votes on an input came to.

    Attributes:
        output: the answer; None where there is none.
        shares: labels with their shares of the votes, the output's first; empty where all votes are one, or outputs are no labels.
        agreement: 0..1, how much the votes agree with the output.
        why_not: why there is none; empty where there is one.
    """

    output: Any
    shares: tuple[tuple[str, float], ...] = ()
    agreement: float = 1.0
    why_not: str = ""


def count_votes(
    answers: Sequence[TeacherAnswer], hear: Callable[[str], Any], agree: Agree | None, least: float, reasons: bool = False
) -> VoteResult:
    """The answer that the votes come to.

    Args:
        answers: the votes on one input.
        hear: turns an answer into an output; raises ValueError for one that cannot be used.
        agree: compares outputs that can be more or less alike; without it they are the same or not.
        least: agreement under which there is no answer.
        reasons: whether what `hear` raises is to be told: its reasons are few.

    Votes that could not be used count as votes for nothing.
    """
    given = [answer for answer in answers if answer.why_not is None]
    if not given:
        return VoteResult(None, agreement=0.0, why_not=answers[0].why_not or NoAnswerReason.REFUSED if answers else NoAnswerReason.PRIVATE)
    heard, kinds = [], []
    for answer in given:
        try:
            if answer.finished:
                heard.append(hear(answer.text))
        except ValueError as error:
            kinds.append(str(error) if reasons else "")
    if not heard:
        why = CUT if not kinds else f"{UNHEARD}: {kinds[0]}" if kinds[0] else UNHEARD
        return VoteResult(None, agreement=0.0, why_not=why)
    found = _consensus(heard, agree, len(given)) if agree else _commonest(heard, len(given))
    return found if found.agreement >= least else VoteResult(None, agreement=found.agreement, why_not=SPLIT)


def _commonest(heard: Sequence[Any], votes: int) -> VoteResult:
    counts: dict[str, int] = {}
    first: dict[str, Any] = {}
    for output in heard:
        key = output if isinstance(output, str) else repr(output)
        first.setdefault(key, output)
        counts[key] = counts.get(key, 0) + 1
    order = sorted(counts, key=lambda key: -counts[key])
    output = first[order[0]]
    shares = tuple((key, counts[key] / len(heard)) for key in order) if isinstance(output, str) and len(order) > 1 else ()
    return VoteResult(output, shares, counts[order[0]] / votes)


def _consensus(heard: Sequence[Any], agree: Agree, votes: int) -> VoteResult:
    """The answer that is nearest to all others (Kumar and Byrne 2004, minimum Bayes risk)."""
    if votes == 1:
        return VoteResult(heard[0])
    alike = agree(heard)
    others = (alike.sum(axis=1) - np.diag(alike)) / (votes - 1)
    best = int(others.argmax())
    return VoteResult(heard[best], (), float(others[best]))


# A teacher as a judge of answers: a mark from 0 to 10 for each, as 0..1.

_MARK = re.compile(r"^\W*(?:(?:score|mark|rating)\W+)?(\d{1,2}(?:\.\d+)?)(?:\s*/\s*10)?\W*$", re.IGNORECASE)

MARK_TOKENS = 12


def marking_instruction(description: str, lesson: str) -> str:
    """What the teacher is told before it marks answers."""
    job = f"The job: {description}\n\n" if description else ""
    return (
        f"You mark answers. {job}Whoever answered was told:\n{lesson}\n\n"
        "Mark how well the answer does that for the text: 10 for faultless, 5 for usable with corrections, 0 for wrong. "
        "Check facts against the text: whatever is not in it is made up. Answer with a number from 0 to 10 and nothing else."
    )


def marking_question(text: str, answer: str) -> str:
    """The question."""
    return f"Text:\n{text}\n\nAnswer:\n{answer}\n\nMark:"


def read_mark(answer: str) -> float:
    """The mark, 0..1. Raises ValueError for what is none."""
    found = _MARK.match(answer.strip())
    if not found or float(found[1]) > 10:
        raise ValueError(f"{answer[:40]!r} is no mark from 0 to 10")
    return float(found[1]) / 10
