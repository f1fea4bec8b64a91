"""Values that are known to be personal, found again where they stand as words of their own; of a person the surname alone, too."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_ADDITIONS = frozenset(
    ("jr", "sr", "junior", "senior", "ii", "iii", "iv", "phd", "md", "dds", "esq", "llm", "mba", "ba", "ma", "bsc", "msc")
)
PERSON = "person"
"""What the redaction model calls a name of a person."""
_SHORTEST = 3
"""Characters of a value that is looked for; digits are, from two on. Shorter ones stand in too many words of no one."""
_LONGEST = 200
"""Characters, too: each length that values with one first word have is looked for behind each such word of a text. A longer value is an
address that a pattern finds wherever it stands."""


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
        """A value that is looked for from now on, if it is no shorter or longer than such values are; with a person's name the surname."""
        self._look_for(value, kind)
        if kind == PERSON and (name := surname(value)):
            self._look_for(name, kind)

    def _look_for(self, value: str, kind: str) -> None:
        word = _WORD.search(value)
        if word is None or not (2 if value.isdigit() else _SHORTEST) <= len(value) <= _LONGEST:
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


def surname(name: str) -> str:
    """The surname in a person's name of several words: what stands before a comma (`Schmidt, Anna`), else the last word that begins with a
    capital and is no addition such as `Jr`. Empty where there is none: a name in small letters alone could be any word."""
    before, comma, after = name.partition(",")
    listed = comma and after.strip() and after.strip(" .").casefold() not in _ADDITIONS
    words: list[str] = [word for word in _NAME.findall(before if listed or not after else name) if word.casefold() not in _ADDITIONS]
    if len(words) < (1 if listed else 2) or not words[-1][0].isupper():
        return ""
    return words[-1]


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"
