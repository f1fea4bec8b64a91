"""Values that are known to be personal, found again where they stand as words of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"\w+")
_SHORTEST = 3
"""Characters of a value that is looked for; digits are, from two on. Shorter ones stand in too many words of no one."""


class Known:
    """Values with their kinds. Looking them all up takes as long as the text has words, however many there are."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._shapes: dict[str, set[tuple[int, int]]] = {}
        """By the first word of values: what they have before it, and how long they are, in characters."""

    def copy(self) -> Known:
        """The same values; what is added to one is not in the other."""
        other = Known()
        other._kinds = dict(self._kinds)
        other._shapes = {word: set(shapes) for word, shapes in self._shapes.items()}
        return other

    def add(self, value: str, kind: str) -> None:
        """A value that is looked for from now on, if it is no shorter than such values are."""
        word = _WORD.search(value)
        if word is None or len(value) < (2 if value.isdigit() else _SHORTEST):
            return
        self._kinds.setdefault(value, kind)
        self._shapes.setdefault(word[0], set()).add((word.start(), len(value)))

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where values stand, letter for letter: start, end (exclusive) and kind. Those in the middle of a longer word do not count."""
        if not self._kinds:
            return
        for word in _WORD.finditer(text):
            for before, length in self._shapes.get(word[0], ()):
                start, end = word.start() - before, word.start() - before + length
                if start < 0 or (kind := self._kinds.get(text[start:end])) is None:
                    continue
                if end < len(text) and _is_word(text[end - 1]) and _is_word(text[end]):
                    continue
                yield start, end, kind


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"
