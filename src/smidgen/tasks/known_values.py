"""Values from a list that the user gives for an argument: names of goods, doctors, rooms. No row needs to have them.

A message names a value by most of its words, in any case, with other endings and small typing errors. Where two values fit equally well,
none is taken.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.text.word_classes import OPEN, class_of

MOST_VALUES = 5_000
_LONGEST_VALUE = 200
_MOST_BYTES = 4_000_000
_LONGEST_TEXT = 2_000
_WORD = re.compile(r"[^\W_]+")
_ENDING = re.compile(r"(?<=[^\W\d_]{3})(?:es|en|er|s|e|n)$")
_LEAST = 0.6
"""The least share of a value's words, weighed by how rare they are, that a message must have."""
_APART = 2
"""Most other words between two words of a value."""
_MOST_WORDS, _MOST_TRIED = 100, 30
"""Words of a message, and values, that are compared word by word."""
_FUZZY = 4
"""Letters of a stem from which a word may have one typing error."""


@dataclass(frozen=True, slots=True)
class NamedValue:
    """A value that a message names, where, and the weighed share of its words that are there."""

    value: str
    place: tuple[int, int]
    share: float


class ListedValues:
    """The values of one argument."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = [value for value in dict.fromkeys(values) if _WORD.search(value)]
        self._stems = [[_stem(word) for word in _WORD.findall(value)] for value in self._values]
        counts = Counter(stem for stems in self._stems for stem in set(stems))
        self._weight = {stem: math.log(1 + len(self._values) / count) for stem, count in counts.items()}
        self._having: dict[str, list[int]] = defaultdict(list)
        self._beginning: dict[str, list[str]] = defaultdict(list)
        for number, stems in enumerate(self._stems):
            for stem in dict.fromkeys(stems):
                self._having[stem].append(number)
        for stem in self._weight:
            self._beginning[stem[:2]].append(stem)

    def named(self, text: str) -> NamedValue | None:
        """The value that a message names best; None if there is none, or two fit equally well."""
        every = list(_WORD.finditer(text[:_LONGEST_TEXT]))
        order = {match.start(): place for place, match in enumerate(every)}
        known = [(match.start(), match.end(), self._known(match.group())) for match in every]
        words = [(start, end, stem) for start, end, stem in known if stem is not None][:_MOST_WORDS]
        found = [self._share(number, words, order) for number in self._likeliest({stem for *_, stem in words})]
        best = max(found, key=lambda one: (one.share, one.place[1] - one.place[0]), default=None)
        if best is None or best.share < _LEAST:
            return None
        same = [one for one in found if math.isclose(one.share, best.share) and one.place == best.place]
        return best if len(same) == 1 else None

    def _likeliest(self, stems: set[str]) -> list[int]:
        """The values that have most of these stems."""
        numbers = {number for stem in stems for number in self._having[stem]}
        shares = {number: self._weighed(stem for stem in self._stems[number] if stem in stems) / self._total(number) for number in numbers}
        likely = [number for number in numbers if shares[number] >= _LEAST]
        return sorted(likely, key=lambda number: (-shares[number], number))[:_MOST_TRIED]

    def _total(self, number: int) -> float:
        return self._weighed(self._stems[number])

    def _weighed(self, stems: Iterable[str]) -> float:
        return sum(self._weight[stem] for stem in stems)

    def _known(self, word: str) -> str | None:
        """The stem of a value that a word of a message is, perhaps with a typing error."""
        stem = _stem(word)
        if stem in self._weight:
            return stem
        if len(stem) < _FUZZY or class_of(word) != OPEN or any(letter.isdigit() for letter in stem):
            return None
        others = (other for other in self._beginning.get(stem[:2], ()) if len(other) >= _FUZZY and abs(len(other) - len(stem)) <= 1)
        near = [other for other in others if _one_off(stem, other)]
        return near[0] if len(near) == 1 else None

    def _share(self, number: int, words: Sequence[tuple[int, int, str]], order: Mapping[int, int]) -> NamedValue:
        """The most of a value that a message names in one place."""
        stems, total = self._stems[number], self._total(number)
        best = NamedValue(self._values[number], (0, 0), 0.0)
        for first in range(len(words)):
            left, some = Counter(stems), len(stems)
            got, start, end, last = 0.0, words[first][0], words[first][1], order[words[first][0]]
            for begin, past, stem in words[first:]:
                if order[begin] - last > 1 + _APART or not some:
                    break
                if left[stem]:
                    left[stem] -= 1
                    some -= 1
                    got, end, last = got + self._weight[stem], past, order[begin]
            if got / total > best.share:
                best = NamedValue(self._values[number], (start, end), got / total)
        return best


def values_in(place: str, folder: Path) -> list[str]:
    """The values of `FILE.csv:COLUMN`, or the lines of a text file. Raises ValueError with the reason if there are none."""
    name, _, column = place.partition(":")
    file = folder / name
    if not name or Path(name).is_absolute() or not file.is_file():
        raise ValueError(f"there is no file {name!r} beside the tools")
    if file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{name} is larger than {_MOST_BYTES} bytes")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8") from None
    if column:
        rows = csv.DictReader(text.splitlines())
        if column not in (rows.fieldnames or ()):
            raise ValueError(f"{name} has no column {column!r}; it has {', '.join(rows.fieldnames or ())[:200]}")
        return cleaned(row[column] or "" for row in rows)
    return cleaned(text.splitlines())


def cleaned(values: Iterable[Any]) -> list[str]:
    """Values without blanks around them and without repeats. Raises ValueError if there are none, or they are too many or too long."""
    found = list(dict.fromkeys(stripped for value in values if (stripped := " ".join(str(value).split()))))
    if not found:
        raise ValueError("the list of values is empty")
    if len(found) > MOST_VALUES:
        raise ValueError(f"it has {len(found)} values; at most {MOST_VALUES} are possible")
    if long := next((value for value in found if len(value) > _LONGEST_VALUE), None):
        raise ValueError(f"a value is longer than {_LONGEST_VALUE} characters: {long[:40]!r}")
    return found


def _stem(word: str) -> str:
    return _ENDING.sub("", word.casefold())


def _one_off(one: str, other: str) -> bool:
    """Whether two words differ by one letter: another, a missing one, or two swapped."""
    if len(one) > len(other):
        one, other = other, one
    at = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :]
    return one[at + 1 :] == other[at + 1 :] or (one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :])
