"""Placeholders for personal data in stored texts, and prompt frames, which surround a changing text."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACEHOLDER = re.compile(r"\[[A-Z_]+_\d+\]")
"""A placeholder, such as `[PERSON_1]`. Each request numbers its own: `[PERSON_1]` of one is another person than in the next."""


def foreign_placeholders(said: str, text: str) -> frozenset[str]:
    """The placeholders in an answer that its text lacks: a reader of both cannot know their values."""
    return frozenset(PLACEHOLDER.findall(said)) - frozenset(PLACEHOLDER.findall(text))


def is_masked(said: str, text: str) -> bool:
    """Whether an answer's content is unknown: it holds placeholders that its text lacks, or nothing but placeholders, which may have been a
    label."""
    rest, found = PLACEHOLDER.subn("", said)
    return bool(found) and (bool(foreign_placeholders(said, text)) or not any(sign.isalnum() for sign in rest))


_LONGEST_VALUE = 200
"""Most characters that a placeholder may replace."""


@dataclass(frozen=True, slots=True)
class PromptFrame:
    """The exact beginning and end of texts of one kind; both empty if nothing is constant.

    The beginning may hold placeholders, if the texts were stored without personal data. Each matches any text of up to 200 characters,
    because the original is not known any more.
    """

    begins: str = ""
    ends: str = ""

    def holds(self, text: str) -> bool:
        """Whether a text has this frame: its beginning and its end do not overlap in the text."""
        return self._begun(text) is not None

    def bare(self, text: str) -> str:
        """The changing part of a text; the whole text if it does not have this frame."""
        start = self._begun(text)
        return text if start is None else text[start : len(text) - len(self.ends)].strip()

    @property
    def fixed(self) -> int:
        """The number of its known characters."""
        return len(PLACEHOLDER.sub("", self.begins)) + len(self.ends)

    def __bool__(self) -> bool:
        return bool(self.begins or self.ends)

    def _begun(self, text: str) -> int | None:
        """Where in a text its beginning ends; None if the text does not have this frame."""
        first, *others = PLACEHOLDER.split(self.begins)
        most = len(text) - len(self.ends)
        if not (text.startswith(first) and text.endswith(self.ends)):
            return None
        at = len(first)
        for piece in others:
            # The nearest place: if that is the wrong one, the text counts as not matching.
            found = text.find(piece, at + 1, at + _LONGEST_VALUE + len(piece))
            if found < 0:
                return None
            at = found + len(piece)
        return at if at <= most else None


UNFRAMED = PromptFrame()
