"""Days that count from today, in English and German: find them in a text and read them as a date.

Examples: `tomorrow`, `in two weeks`, `next Tuesday`, `übermorgen`, `am Freitag`, `heute in drei Tagen`. A weekday is the next one after
today; `this Friday` may be today.
"""

from __future__ import annotations

import datetime
import re

from smidgen.text import numbers

_FIXED = {
    **{"day before yesterday": -2, "yesterday": -1, "today": 0, "tonight": 0, "tomorrow": 1, "day after tomorrow": 2},
    **{"vorgestern": -2, "gestern": -1, "heute": 0, "übermorgen": 2, "uebermorgen": 2, "morgen": 1},
}
_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            ("monday", "mondays", "montag", "montags"),
            ("tuesday", "tuesdays", "dienstag", "dienstags"),
            ("wednesday", "wednesdays", "mittwoch", "mittwochs"),
            ("thursday", "thursdays", "donnerstag", "donnerstags"),
            ("friday", "fridays", "freitag", "freitags"),
            ("saturday", "saturdays", "samstag", "samstags", "sonnabend"),
            ("sunday", "sundays", "sonntag", "sonntags"),
        )
    )
    for name in names
}
_UNITS = {"day": 1, "tag": 1, "week": 7, "woche": 7, "fortnight": 14, "month": 0, "monat": 0}
_COUNT = r"(?P<count>\d{1,3}|[^\W\d_]{1,15})"
_FORMS = (
    re.compile(rf"(?<!\w)(?:in[ ])?{_COUNT}[ ](?P<unit>day|week|month)s?[ ](?:from[ ](?:now|today)|ahead)\b", re.I),
    re.compile(
        rf"(?<!\w)(?:heute[ ])?in[ ]{_COUNT}[ ](?P<unit>days?|weeks?|months?|fortnight|tag(?:en|e)?|wochen?|monat(?:en|e)?)\b", re.I
    ),
    re.compile(
        rf"(?<!\w)(?:(?P<way>next|this|coming|nächste[nrms]?|kommende[nrms]?|diese[nrms]?)[ ])?(?P<weekday>{'|'.join(_WEEKDAYS)})\b"
        r"(?P<later>[ ](?:week|in einer woche)\b)?",
        re.I,
    ),
    re.compile(rf"(?<!\w)(?:the[ ])?(?P<fixed>{'|'.join(sorted(_FIXED, key=len, reverse=True))})\b", re.I),
)
_GREETING = re.compile(r"(?:guten|schönen|gute)[ ]$", re.I)
_ONE = ("a", "an", "one", "einem", "einer", "ein", "eine")
_TODAY_TOO = ("this", "diese")
_MOST_DAYS = 1000


def find(text: str) -> list[tuple[int, int]]:
    """First character, and one past the last, of each such day in a text, in order; none overlap."""
    found: list[tuple[int, int]] = []
    taken = bytearray(len(text))
    for form in _FORMS:
        for match in form.finditer(text):
            start, end = match.span()
            if _days(match, datetime.date(2000, 1, 3)) is None or any(taken[start:end]) or _GREETING.search(text[:start]):
                continue
            found.append((start, end))
            taken[start:end] = b"\x01" * (end - start)
    return sorted(found)


def read(words: str, today: datetime.date) -> str | None:
    """The first such day in some words as `YYYY-MM-DD`, counted from a day; None if there is none."""
    for start, end in find(words):
        match = next(match for form in _FORMS if (match := form.match(words, start)) and match.end() == end)
        days = _days(match, today)
        if days is not None:
            return (today + datetime.timedelta(days=days)).isoformat()
    return None


def _days(match: re.Match[str], today: datetime.date) -> int | None:
    """How many days after today a match is; None if it is none."""
    said = {name: value.casefold() for name, value in match.groupdict().items() if value}
    if "fixed" in said:
        return _FIXED[said["fixed"]]
    if "weekday" in said:
        ahead = (_WEEKDAYS[said["weekday"]] - today.weekday()) % 7
        if not ahead and not said.get("way", "").startswith(_TODAY_TOO):
            ahead = 7
        return ahead + (7 if "later" in said else 0)
    count = 1 if said["count"] in _ONE else numbers.read(said["count"])
    if not isinstance(count, int) or not 0 < count <= _MOST_DAYS:
        return None
    unit = next(name for name in _UNITS if said["unit"].startswith(name))
    if _UNITS[unit]:
        return count * _UNITS[unit]
    return (_months_later(today, count) - today).days


def _months_later(day: datetime.date, count: int) -> datetime.date:
    """This day of a later month, or the last day of that month."""
    years, month = divmod(day.month - 1 + count, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return datetime.date(day.year + years, month + 1, min(day.day, last))
        except ValueError:
            continue
    return day  # not reached: every month has 28 days
