"""A teacher as a judge of answers: a mark from 0 to 10 for each, as 0..1."""

from __future__ import annotations

import re

_MARK = re.compile(r"^\W*(?:(?:score|mark|rating)\W+)?(\d{1,2}(?:\.\d+)?)(?:\s*/\s*10)?\W*$", re.IGNORECASE)

MAX_TOKENS = 12


def told(description: str, lesson: str) -> str:
    """What the teacher is told before it marks answers."""
    job = f"The job: {description}\n\n" if description else ""
    return (
        f"You mark answers. {job}Whoever answered was told:\n{lesson}\n\n"
        "Mark how well the answer does that for the text: 10 for faultless, 5 for usable with corrections, 0 for wrong. "
        "Check facts against the text: whatever is not in it is made up. Answer with a number from 0 to 10 and nothing else."
    )


def asked(text: str, answer: str) -> str:
    """The question."""
    return f"Text:\n{text}\n\nAnswer:\n{answer}\n\nMark:"


def read(answer: str) -> float:
    """The mark, 0..1. Raises ValueError for what is none."""
    found = _MARK.match(answer.strip())
    if not found or float(found[1]) > 10:
        raise ValueError(f"{answer[:40]!r} is no mark from 0 to 10")
    return float(found[1]) / 10
