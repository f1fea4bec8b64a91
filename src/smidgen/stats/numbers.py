"""Numbers as people write them: found in a text, and read. In digits (`1,250.50`, `1.250,50`, `£45`, `5kg`), and in English words up to
millions (`two`, `twenty-five`, `a dozen`, `half a dozen`, `a couple`)."""

from __future__ import annotations

import re

_GROUP = "[.,'’ \u00a0\u202f]"
_DIGITS = re.compile(
    rf"(?:(?<![^\W_])|(?<=\bx)|(?<=\bX))(?:(?<!\w)[-+−])?(?:\d{{1,3}}(?:{_GROUP}\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?)(?!\d)"
)
_WORD = re.compile(r"[^\W\d_]+")
_NAMES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_SMALL = {word: number for number, word in enumerate(_NAMES)} | {"single": 1, "both": 2}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_GROUPS = {"dozen": 12, "couple": 2, "pair": 2}
_ONE = ("a", "an")


def find(text: str) -> list[tuple[int, int]]:
    """First character, and one past the last, of each number in a text, in order."""
    return sorted([*(match.span() for match in _DIGITS.finditer(text)), *((start, end) for start, end, _ in _worded(text))])


def read(words: str, mark: str = ".") -> int | float | None:
    """The first number in some words; None where there is none. Whole numbers have no point.

    Args:
        words: such as `£1,250` or `a dozen`.
        mark: what stands before the decimals, `.` or `,`: it settles numbers that could be read either way (`1,250`).
    """
    digits = _DIGITS.search(words)
    worded = next(iter(_worded(words)), None)
    if digits is None or (worded is not None and worded[0] < digits.start()):
        return worded[2] if worded is not None else None
    found = float(_plain(digits.group(), mark))
    return int(found) if found.is_integer() else found


def either_way(words: str) -> bool:
    """Whether the first number in some words is another one with the other decimal mark."""
    return read(words, ".") != read(words, ",")


def _plain(digits: str, mark: str) -> str:
    """A number as Python reads it."""
    digits = re.sub("['’ \u00a0\u202f]", "", digits.replace("−", "-"))
    marks = [letter for letter in digits if letter in ".,"]
    if len(set(marks)) == 2:
        mark = marks[-1]
    elif len(marks) > 1:
        mark = "." if marks[0] == "," else ","
    elif marks and len(re.split("[.,]", digits)[1]) != 3:
        # Groups are of three digits: anything else is what stands behind the point.
        mark = marks[0]
    return digits.replace("," if mark == "." else ".", "").replace(mark, ".")


def _worded(text: str) -> list[tuple[int, int, int]]:
    """Start, end and value of each number in words."""
    found: list[tuple[int, int, int]] = []
    words = [(match.group().casefold(), match.start(), match.end()) for match in _WORD.finditer(text)]
    place = 0
    while place < len(words):
        past, value = _run(text, words, place)
        if past > place:
            found.append((words[place][1], words[past - 1][2], value))
        place = max(past, place + 1)
    return found


def _run(text: str, words: list[tuple[str, int, int]], first: int) -> tuple[int, int]:
    """Where the number in words that begins at a word ends, and its value; the place itself where none begins there."""
    names = [word for word, _, _ in words[first : first + 3]]
    if names[:1] == ["half"] and len(names) == 3 and names[1] in _ONE and names[2] == "dozen":
        return first + 3, 6
    place, whole, part, last = first, 0, 0, 0
    while place < len(words) and (place == first or text[words[place - 1][2] : words[place][1]] in (" ", "-")):
        word = words[place][0]
        following = words[place + 1][0] if place + 1 < len(words) else ""
        if word in _ONE and place == first and following in _SCALES | _GROUPS:
            part = 1
        elif word == "and" and place > first and part >= 100 and following in _SMALL | _TENS:
            pass
        elif word in _TENS and (part % 100 == 0):
            part += _TENS[word]
        elif word in _SMALL and (part % 100 == 0 or (part % 10 == 0 and 0 < _SMALL[word] < 10 and part % 100 >= 20)):
            part += _SMALL[word]
        elif word == "hundred" and 0 < part < 100:
            part *= 100
        elif word in _SCALES and word != "hundred" and part:
            whole, part = whole + part * _SCALES[word], 0
        elif word in _GROUPS and (part or place == first):
            return place + 1, whole + max(1, part) * _GROUPS[word]
        else:
            break
        place, last = place + 1, place + 1
    return last, whole + part
