"""Placeholders: what stands in stored texts in the place of personal data."""

from __future__ import annotations

import re

PLACEHOLDER = re.compile(r"\[[A-Z_]+_\d+\]")
"""One of them: `[PERSON_1]`. They are counted anew with each request, so that `[PERSON_1]` of one is not that of the next."""


def foreign_placeholders(said: str, text: str) -> frozenset[str]:
    """The stand-ins in what was said of a text that do not stand in that text: what they stand for is not known to whoever reads both."""
    return frozenset(PLACEHOLDER.findall(said)) - frozenset(PLACEHOLDER.findall(text))


def is_masked(said: str, text: str) -> bool:
    """Whether it is not known what was said of a text: there are stand-ins in it that do not stand in the text, or nothing but stand-ins,
    which may have been a label."""
    rest, found = PLACEHOLDER.subn("", said)
    return bool(found) and (bool(foreign_placeholders(said, text)) or not any(sign.isalnum() for sign in rest))
