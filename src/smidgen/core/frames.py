"""A frame: the words that stay around a text which changes, where a program writes its instruction into the user's message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """How texts of one kind begin and end, to the letter; both empty where nothing stays."""

    begins: str = ""
    ends: str = ""

    def holds(self, text: str) -> bool:
        """Whether a text stands in this frame: the two do not overlap in it."""
        return len(text) >= len(self.begins) + len(self.ends) and text.startswith(self.begins) and text.endswith(self.ends)

    def bare(self, text: str) -> str:
        """What of a text in this frame changes; a text that does not stand in it as it is."""
        return text[len(self.begins) : len(text) - len(self.ends)].strip() if self.holds(text) else text

    def __bool__(self) -> bool:
        return bool(self.begins or self.ends)


UNFRAMED = Frame()
