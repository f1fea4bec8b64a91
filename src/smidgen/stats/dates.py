"""Dates as people write them: found in a text, and read into ISO form.

`2026-03-03`, `3/3/2026`, `03.03.26`, `3 March`, `March 3rd, 2026`, `3. März 2026`. Which of two small numbers is the day, and which year is
meant where none is said, the words do not tell: whoever reads them says so. Days that are told by the day of reading (`yesterday`,
`next Monday`) are not read.
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterator

_NAMES = (
    ("january", "januar", "januari", "janvier", "enero", "gennaio"),
    ("february", "februar", "februari", "février", "fevrier", "febrero", "febbraio"),
    ("march", "märz", "maerz", "maart", "mars", "marzo"),
    ("april", "avril", "abril", "aprile"),
    ("may", "mai", "mei", "mayo", "maggio"),
    ("june", "juni", "juin", "junio", "giugno"),
    ("july", "juli", "juillet", "julio", "luglio"),
    ("august", "augustus", "août", "aout", "agosto"),
    ("september", "septembre", "septiembre", "settembre"),
    ("october", "oktober", "octobre", "octubre", "ottobre"),
    ("november", "novembre", "noviembre"),
    ("december", "dezember", "décembre", "decembre", "diciembre", "dicembre"),
)
_SHORTEST = 3  # letters of a month's name cut short


def _months() -> dict[str, int]:
    """Every name and every beginning of one that is of a single month, with the month's number."""
    found: dict[str, set[int]] = {}
    for number, names in enumerate(_NAMES, start=1):
        for name in names:
            for length in range(_SHORTEST, len(name) + 1):
                found.setdefault(name[:length], set()).add(number)
    return {name: next(iter(numbers)) for name, numbers in found.items() if len(numbers) == 1}


_MONTHS = _months()
_YEAR = r"(?P<year>\d{4}|['’]?\d{2}(?!\d))"
_FORMS = (
    re.compile(r"(?<!\d)(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})(?!\d)"),
    re.compile(r"(?<![\d.])(?P<one>\d{1,2})(?P<sep>[-/.])(?P<two>\d{1,2})(?P=sep)(?P<year>\d{4}|\d{2})(?!\d)"),
    re.compile(
        r"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|\.)?[ \t\u00a0-]*(?:of |de )?(?P<name>[^\W\d_]{3,12})\b\.?(?:,?[ \t\u00a0-]*(?:de )?"
        + _YEAR
        + r")?",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![^\W_])(?P<name>[^\W\d_]{3,12})\.?[ \t\u00a0]+(?:the )?(?P<day>\d{1,2})(?!\d)(?:st|nd|rd|th)?\b"
        r"(?:,?[ \t\u00a0]*(?P<year>\d{4}))?",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![\d./-])(?P<one>\d{1,2})(?P<sep>[/.-])(?P<two>\d{1,2})(?![\d/-]|\.\d)"),
)


def find(text: str) -> list[tuple[int, int]]:
    """First character, and one past the last, of each date in a text, in order; none overlap."""
    found: list[tuple[int, int]] = []
    for match in _matches(text):
        start, end = match.span()
        if all(end <= other or start >= past for other, past in found):
            found.append((start, end))
    return sorted(found)


def read(words: str, day_first: bool = True, year: int | None = None) -> str | None:
    """The first date in some words as `YYYY-MM-DD`; None where there is none, or no year is said and none given.

    Args:
        words: such as `3 March` or `03/04/2026`.
        day_first: whether the day is the first of two small numbers, where both could be the month.
        year: the year where none is said.
    """
    return next((date for match in _matches(words) if (date := _date(match, day_first, year))), None)


def has_year(words: str) -> bool:
    """Whether the first date in some words says its year."""
    first = next(_matches(words), None)
    return first is not None and bool(first.groupdict().get("year"))


def either_way(words: str) -> bool:
    """Whether the first date in some words is another one if the month stands first."""
    return read(words, True, 2000) != read(words, False, 2000)


def _matches(text: str) -> Iterator[re.Match[str]]:
    """Dates in the order of the forms, which is that of how much each says."""
    found = itertools.chain.from_iterable(form.finditer(text) for form in _FORMS)
    # A leap year: that a day can be is not settled before the year is known.
    return (match for match in found if _date(match, True, 2000) or _date(match, False, 2000))


def _date(match: re.Match[str], day_first: bool, year: int | None) -> str | None:
    said = match.groupdict()
    if said.get("year"):
        digits = said["year"].lstrip("'’")
        year = int(digits) + (2000 if len(digits) == 2 else 0)
    if said.get("name"):
        month, day = _MONTHS.get(said["name"].casefold(), 0), int(said["day"])
    elif said.get("month"):
        month, day = int(said["month"]), int(said["day"])
    else:
        one, two = int(said["one"]), int(said["two"])
        # A number that can be no month settles it.
        day, month = (one, two) if (day_first and two <= 12) or one > 12 else (two, one)
    try:
        return datetime.date(year or 0, month, day).isoformat()
    except ValueError:
        return None
