"""Numbers as people write them: find them in a text and read their value.

Digits (`1,250.50`, `1.250,50`, `£45`, `5kg`), English words up to millions (`two`, `twenty-five`, `a dozen`, `half a dozen`, `a
couple`), and German words below a thousand (`zwölf`, `einundzwanzig`, `ein Dutzend`). `ein` and `eine` alone are articles.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_GROUP = "[.,'’ \u00a0\u202f]"
_CURRENCY = "£$€¥"
_SIGN = rf"(?:[-+−](?:[{_CURRENCY}][ \u00a0]?)?|minus[ ][{_CURRENCY}]?)"
_DIGITS = re.compile(
    rf"(?:(?<![^\W_])|(?<=\bx)|(?<=\bX))(?:(?<!\w){_SIGN})?(?:\d{{1,3}}(?:{_GROUP}\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?)(?!\d)",
    re.IGNORECASE,
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
_GERMAN = ("zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf")
_GERMAN_TENS = ("zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig")


def _german() -> dict[str, int]:
    """The German words from two to 999, and what they mean."""
    below = {"null": 0, "eins": 1, **{word: number for number, word in enumerate(_GERMAN, start=2)}}
    teens = {"sechzehn": 16, "siebzehn": 17, **{f"{word}zehn": 10 + n for n, word in enumerate(_GERMAN[:8], start=2) if n not in (2, 6, 7)}}
    below |= {**teens, "zwanzig": 20}
    for place, tens in enumerate(_GERMAN_TENS, start=2):
        below[tens] = 10 * place
        below |= {f"{one}und{tens}": 10 * place + n for n, one in enumerate(("ein", *_GERMAN[:8]), start=1)}
    hundreds = {f"{word}hundert": 100 * n for n, word in enumerate(("", "ein", *_GERMAN[:8])) if n or not word}
    hundreds["hundert"] = 100
    found = below | hundreds | {f"{hundred}{word}": h + n for hundred, h in hundreds.items() for word, n in below.items() if n}
    return found | {word.replace("ß", "ss"): number for word, number in found.items() if "ß" in word}


_GERMAN_NUMBERS = _german()


def vocabulary() -> dict[str, dict[str, int]]:
    """The English words that are read, with their values: `small`, `tens`, `scales` and `groups`."""
    return {"small": dict(_SMALL), "tens": dict(_TENS), "scales": dict(_SCALES), "groups": dict(_GROUPS)}


def find(text: str) -> list[tuple[int, int]]:
    """First character, and one past the last, of each number in a text, in order."""
    return sorted([*(match.span() for match in _DIGITS.finditer(text)), *((start, end) for start, end, _ in _worded(text))])


def read(words: str, mark: str = ".") -> int | float | None:
    """The first number in some words; None if there is none, or it is too large for a float. Whole numbers are int.

    Args:
        words: such as `£1,250` or `a dozen`.
        mark: the decimal mark, `.` or `,`, for numbers that could be read either way (`1,250`).
    """
    digits = _DIGITS.search(words)
    worded = next(iter(_worded(words)), None)
    if digits is None or (worded is not None and worded[0] < digits.start()):
        return worded[2] if worded is not None else None
    plain = _plain(digits.group(), mark)
    found = float(plain)
    if math.isinf(found):
        return None
    # Read a whole number as int: past 2^53 a float would change it.
    return int(plain) if "." not in plain else int(found) if found.is_integer() else found


def either_way(words: str) -> bool:
    """Whether the first number in some words changes with the other decimal mark."""
    return read(words, ".") != read(words, ",")


def mark(words: str) -> str | None:
    """The decimal mark of the first number in some words, `.` or `,`; None if its digits do not show it."""
    digits = _DIGITS.search(words)
    worded = next(iter(_worded(words)), None)
    return None if digits is None or (worded is not None and worded[0] < digits.start()) else _told(_bare(digits.group()))


def _plain(digits: str, mark: str) -> str:
    """A number in Python's notation."""
    digits = _bare(digits)
    mark = _told(digits) or mark
    return digits.replace("," if mark == "." else ".", "").replace(mark, ".")


def _bare(digits: str) -> str:
    """A number's sign, digits and marks, without anything else."""
    return re.sub(f"['’ \u00a0\u202f{_CURRENCY}]", "", re.sub("(?i)minus|−", "-", digits))


def _told(digits: str) -> str | None:
    """The decimal mark of a bare number; None if its digits do not show it."""
    marks = [letter for letter in digits if letter in ".,"]
    if len(set(marks)) == 2:
        return marks[-1]
    if len(marks) > 1:
        return "." if marks[0] == "," else ","
    if not marks:
        return None
    whole, behind = re.split("[.,]", digits.lstrip("+-"))
    # Groups have three digits, the first of them one to three and no leading zero: any other form is a decimal fraction.
    return marks[0] if len(behind) != 3 or len(whole) > 3 or whole.startswith("0") else None


def _worded(text: str) -> list[tuple[int, int, int]]:
    """Start, end and value of each number in words."""
    found: list[tuple[int, int, int]] = []
    words = [(match.group().casefold(), match.start(), match.end()) for match in _WORD.finditer(text)]
    place = 0
    while place < len(words):
        first = place + (words[place][0] == "minus" and _follows(text, words, place + 1))
        past, value = _run(text, words, first)
        if past > first:
            found.append((words[place][1], words[past - 1][2], value if first == place else -value))
        place = max(past, place + 1)
    return found


def _follows(text: str, words: Sequence[tuple[str, int, int]], place: int) -> bool:
    """Whether a word directly follows the one before it, after a space or a hyphen."""
    return 0 < place < len(words) and text[words[place - 1][2] : words[place][1]] in (" ", "-")


def _run(text: str, words: list[tuple[str, int, int]], first: int) -> tuple[int, int]:
    """The end and the value of the number in words that begins at a word; the place itself if none begins there."""
    names = [word for word, _, _ in words[first : first + 3]]
    if names and names[0] in _GERMAN_NUMBERS:
        if len(names) > 1 and names[1] == "dutzend":
            return first + 2, 12 * _GERMAN_NUMBERS[names[0]]
        return first + 1, _GERMAN_NUMBERS[names[0]]
    if names[1:2] == ["dutzend"] and names[0] in ("ein", "halbes"):
        return first + 2, 6 if names[0] == "halbes" else 12
    if names[:1] == ["half"] and len(names) == 3 and names[1] in _ONE and names[2] == "dozen":
        return first + 3, 6
    place, whole, part, last = first, 0, 0, 0
    while place < len(words) and (place == first or _follows(text, words, place)):
        word = words[place][0]
        following = words[place + 1][0] if place + 1 < len(words) else ""
        if word in _ONE and place == first and following in _SCALES | _GROUPS:
            part = 1
        elif word == "and" and _may_go_on(whole, part) and following in _SMALL | _TENS and _follows(text, words, place + 1):
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


def _may_go_on(whole: int, part: int) -> bool:
    """Whether `and` may follow these thousands and this remainder: after a hundred or a thousand, not after `five`."""
    return part % 100 == 0 if part else whole > 0
