"""Dates as people write them: find them in a text and convert them to ISO form.

Examples: `2026-03-03`, `3/3/2026`, `03.03.26`, `3 March`, `March 3rd, 2026`, `3. März 2026`. Words alone do not show which of two small
numbers is the day, or which year is meant if none is given: the caller decides. Days relative to the day of reading (`yesterday`, `next
Monday`) are not read.
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
_SHORTEST = 3  # least letters of an abbreviated month


def _months() -> dict[str, int]:
    """Map every month name, and every beginning of one that is unambiguous, to the month's number."""
    found: dict[str, set[int]] = {}
    for number, names in enumerate(_NAMES, start=1):
        for name in names:
            for length in range(_SHORTEST, len(name) + 1):
                found.setdefault(name[:length], set()).add(number)
    return {name: next(iter(numbers)) for name, numbers in found.items() if len(numbers) == 1}


_MONTHS = _months()
# Two digits after a month's name are not a year if they are a time.
_YEAR = r"(?P<year>\d{4}|['’]?\d{2}(?!\d|[:.h]\d|[ \u00a0]?(?:[ap]\.?m\b|h\b|uhr\b|o['’]clock)))"
PIVOT = 69
"""The first two-digit year of the last century, as in POSIX `%y`."""
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


def months() -> dict[str, int]:
    """Map each month name and each unambiguous beginning of one, in lower case, to the month's number."""
    return dict(_MONTHS)


def month_names() -> frozenset[str]:
    """Every known name of a month, and every unambiguous beginning of one, in lower case."""
    return frozenset(_MONTHS)


def find(text: str) -> list[tuple[int, int]]:
    """First character, and one past the last, of each date in a text, in order; none overlap."""
    found: list[tuple[int, int]] = []
    taken = bytearray(len(text))
    for match in _matches(text):
        start, end = match.span()
        if not any(taken[start:end]):
            found.append((start, end))
            taken[start:end] = b"\x01" * (end - start)
    return sorted(found)


def read(words: str, day_first: bool = True, year: int | None = None, pivot: int = PIVOT) -> str | None:
    """The first date in some words as `YYYY-MM-DD`; None if there is none, or its year is unknown.

    Args:
        words: such as `3 March` or `03/04/2026`.
        day_first: whether the day comes first of two small numbers, if both could be the month.
        year: the year for dates without one.
        pivot: the first two-digit year of the last century, 0 to 100.
    """
    return next((date for match in _matches(words) if (date := _date(match, day_first, year, pivot))), None)


_MONTH_ALONE = (
    re.compile(r"(?P<year>\d{4})[-/. ](?P<month>\d{1,2})"),
    re.compile(r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})"),
    re.compile(r"(?P<name>[^\W\d_]{3,12})\.?(?:[ -]?(?P<year>\d{4})|-(?P<short>\d{2}))"),
)


def read_month(words: str) -> str | None:
    """The first day of a month that stands alone with its year, as `YYYY-MM-DD`: `2026-03`, `03/2026`, `March 2026`, `Mar-26`. None for
    other words."""
    said = next((match.groupdict() for form in _MONTH_ALONE if (match := form.fullmatch(words.strip()))), None)
    if said is None:
        return None
    month = int(said["month"]) if said.get("month") else _MONTHS.get(said["name"].casefold(), 0)
    short = int(said.get("short") or 0)
    year = int(said["year"]) if said["year"] else short + (1900 if short >= PIVOT else 2000)
    return f"{year:04d}-{month:02d}-01" if 1 <= month <= 12 and year else None


def has_year(words: str) -> bool:
    """Whether the first date in some words contains its year."""
    first = next(_matches(words), None)
    return first is not None and bool(first.groupdict().get("year"))


def has_short_year(words: str) -> bool:
    """Whether the first date in some words gives its year with two digits."""
    first = next(_matches(words), None)
    return first is not None and len((first.groupdict().get("year") or "").lstrip("'’")) == 2


def without_count(words: str) -> str:
    """The words before two digits after a month's name, which may be a year or a count (`3 March 12 mugs`); all of them if there are
    none."""
    first = next(_matches(words), None)
    if first is None or not first.groupdict().get("name") or len(first["year"] or "") != 2:
        return words
    return words[: first.start("year")].rstrip(" \t\u00a0,-")


def order(words: str) -> bool | None:
    """Whether the day comes first of the two small numbers in the first date of some words; None if the numbers do not show it."""
    first = next(_matches(words), None)
    if first is None or "one" not in first.groupdict() or either_way(words):
        return None
    one, two = int(first["one"]), int(first["two"])
    return None if one == two else one > two


def either_way(words: str) -> bool:
    """Whether the first date in some words changes if the month is read first."""
    return read(words, True, 2000) != read(words, False, 2000)


def _matches(text: str) -> Iterator[re.Match[str]]:
    """Dates in the order of the forms, from the most explicit to the least."""
    found = itertools.chain.from_iterable(form.finditer(text) for form in _FORMS)
    # 2000 is a leap year: 29 February stays possible until the year is known.
    return (match for match in found if _date(match, True, 2000) or _date(match, False, 2000))


def _date(match: re.Match[str], day_first: bool, year: int | None, pivot: int = PIVOT) -> str | None:
    said = match.groupdict()
    if said.get("year"):
        digits = said["year"].lstrip("'’")
        year = int(digits)
        if len(digits) == 2:
            year += 1900 if year >= pivot else 2000
    if said.get("name"):
        month, day = _MONTHS.get(said["name"].casefold(), 0), int(said["day"])
    elif said.get("month"):
        month, day = int(said["month"]), int(said["day"])
    else:
        one, two = int(said["one"]), int(said["two"])
        # A number that cannot be a month decides.
        day, month = (one, two) if (day_first and two <= 12) or one > 12 else (two, one)
    try:
        return datetime.date(year or 0, month, day).isoformat()
    except ValueError:
        return None
