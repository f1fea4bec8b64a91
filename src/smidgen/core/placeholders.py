"""Placeholders, which stand for personal data in stored texts, and prompt frames, which stand around a text that changes."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACEHOLDER = re.compile(r"\[[A-Z_]+_\d+\]")
"""A placeholder, such as `[PERSON_1]`. Numbers begin anew with each request: `[PERSON_1]` of one is not that of the next."""


def foreign_placeholders(said: str, text: str) -> frozenset[str]:
    """The placeholders in an answer that do not stand in its text: a reader of both cannot know their values."""
    return frozenset(PLACEHOLDER.findall(said)) - frozenset(PLACEHOLDER.findall(text))


def is_masked(said: str, text: str) -> bool:
    """Whether an answer's content is unknown: it holds placeholders that its text lacks, or nothing but placeholders, which may have been
    a label."""
    rest, found = PLACEHOLDER.subn("", said)
    return bool(found) and (bool(foreign_placeholders(said, text)) or not any(sign.isalnum() for sign in rest))


_LONGEST_VALUE = 200
"""Characters that a placeholder may stand for."""


@dataclass(frozen=True, slots=True)
class PromptFrame:
    """How texts of one kind begin and end, to the letter; both empty where nothing stays.

    Of texts that were stored without personal data the beginning may hold placeholders. For each there may be anything in a text, up to 200
    characters of it: what it was is not known any more.
    """

    begins: str = ""
    ends: str = ""

    def holds(self, text: str) -> bool:
        """Whether a text stands in this frame: the two do not overlap in it."""
        return self._begun(text) is not None

    def bare(self, text: str) -> str:
        """The part of a text that changes; the whole text where it does not stand in this frame."""
        start = self._begun(text)
        return text if start is None else text[start : len(text) - len(self.ends)].strip()

    @property
    def fixed(self) -> int:
        """How many characters it has that are known."""
        return len(PLACEHOLDER.sub("", self.begins)) + len(self.ends)

    def __bool__(self) -> bool:
        return bool(self.begins or self.ends)

    def _begun(self, text: str) -> int | None:
        """The place in a text at which the frame's beginning ends; None where the text is not in this frame."""
        first, *others = PLACEHOLDER.split(self.begins)
        most = len(text) - len(self.ends)
        if not (text.startswith(first) and text.endswith(self.ends)):
            return None
        at = len(first)
        for piece in others:
            # The nearest place: where that is the wrong one the text does not fit, and is none of these.
            found = text.find(piece, at + 1, at + _LONGEST_VALUE + len(piece))
            if found < 0:
                return None
            at = found + len(piece)
        return at if at <= most else None


UNFRAMED = PromptFrame()
