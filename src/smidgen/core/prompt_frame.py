"""A prompt frame: the words that stay around a text which changes, where a program writes its instruction into the user's message."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.core.placeholders import PLACEHOLDER

_LONGEST_VALUE = 200
"""Characters that a stand-in may stand for."""


@dataclass(frozen=True, slots=True)
class PromptFrame:
    """How texts of one kind begin and end, to the letter; both empty where nothing stays.

    Of texts that were stored without personal data the beginning may hold stand-ins. For each there may be anything in a text, up to 200
    characters of it: what it was is not known any more.
    """

    begins: str = ""
    ends: str = ""

    def holds(self, text: str) -> bool:
        """Whether a text stands in this frame: the two do not overlap in it."""
        return self._begun(text) is not None

    def bare(self, text: str) -> str:
        """What of a text in this frame changes; a text that does not stand in it as it is."""
        start = self._begun(text)
        return text if start is None else text[start : len(text) - len(self.ends)].strip()

    @property
    def fixed(self) -> int:
        """How many characters it has that are known."""
        return len(PLACEHOLDER.sub("", self.begins)) + len(self.ends)

    def __bool__(self) -> bool:
        return bool(self.begins or self.ends)

    def _begun(self, text: str) -> int | None:
        """Where in a text its beginning is over; None where the text does not stand in this frame."""
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
