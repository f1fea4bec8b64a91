"""Opening hours of a week in one text, as OpenStreetMap and door signs write them: `Mo-Fr 09:00-18:00; Sa 10-14; Su off`, `24/7`."""

from __future__ import annotations

import re
from typing import TypeAlias

from smidgen.apps.routes.problem import DAY, seconds_of
from smidgen.core.errors import InputError

Hours: TypeAlias = tuple[tuple[int, int], ...]
"""Stretches of a day in which a place is open, seconds after midnight."""

CLOSED = ("closed", "off", "-", "–", "geschlossen", "zu", "ruhetag")
_LONGEST = 400
_ALWAYS = ("24/7", "24h", "always", "open", "daily", "täglich", "immer")
_DAYS = (
    "mo(?:n(?:day)?|ntag)?",
    "tu(?:e(?:s(?:day)?)?)?|di(?:enstag)?",
    "we(?:d(?:nesday)?)?|mi(?:ttwoch)?",
    "th(?:u(?:rs(?:day)?)?)?|do(?:nnerstag)?",
    "fr(?:i(?:day)?|eitag)?",
    "sa(?:t(?:urday)?|mstag)?",
    "su(?:n(?:day)?)?|so(?:nntag)?",
)
_HOLIDAYS = r"ph|sh|public holidays?|holidays|feiertags?|feiertage"
_ONE = "|".join(f"(?:{day})" for day in _DAYS)
_SPAN = rf"(?:(?:{_ONE})(?:\s*(?:-|–|to|bis)\s*(?:{_ONE}))?|{_HOLIDAYS}|daily|täglich)\.?"
_TO = r"\s*(?:-|–|—|to|bis)\s*"
_TIME = r"\d{1,2}(?:[:.]\d{2})?(?:\s*[ap]\.?m\b\.?)?(?:\s*uhr)?"
_AND = r"\s*(?:,|&|\+|\band\b|\bund\b)\s*"
_RULE = re.compile(
    rf"(?P<days>{_SPAN}(?:{_AND}{_SPAN})*)?\s*:?\s*"
    rf"(?P<hours>{_TIME}{_TO}{_TIME}(?:{_AND}{_TIME}{_TO}{_TIME})*|{'|'.join(map(re.escape, CLOSED))}|24/7|24h)"
    r"\s*(?:[;,|/\n]\s*|$|\s+)"
)


def read_week(text: str) -> tuple[Hours, ...] | None:
    """The hours of each weekday from Monday; None for a text that says anything else, such as months or sunrise.

    A later part counts for the days that it names. Days that no part names are closed, if any part names open days. Holidays are no days
    of the week and are not read. What is open past midnight counts until midnight.
    """
    plain = " ".join(text.casefold().split())
    if len(plain) > _LONGEST:
        return None
    if plain in _ALWAYS:
        return (((0, DAY),),) * 7
    week: list[Hours | None] = [None] * 7
    place = 0
    while place < len(plain):
        rule = _RULE.match(plain, place)
        if rule is None or rule.end() == place:
            return None
        hours = _hours(rule["hours"])
        if hours is None:
            return None
        days = _days(rule["days"]) if rule["days"] else list(range(7))
        for day in days:
            week[day] = hours
        place = rule.end()
    if None in week and not any(week):  # `Monday off`: when it is open is not said
        return None
    return tuple(hours or () for hours in week)


def _days(text: str) -> list[int]:
    """The weekdays, from 0 for Monday, of words such as `mo-we, fr`; a range may go past Sunday."""
    found: list[int] = []
    for part in re.split(_AND, text):
        if re.fullmatch(rf"(?:{_HOLIDAYS})\.?", part):
            continue
        if part.strip(".") in _ALWAYS:
            return list(range(7))
        ends = [_day(word.strip(" .")) for word in re.split(r"\s*(?:-|–|\bto\b|\bbis\b)\s*", part)]
        found += [(ends[0] + step) % 7 for step in range((ends[-1] - ends[0]) % 7 + 1)]
    return found


def _day(word: str) -> int:
    return next(number for number, day in enumerate(_DAYS) if re.fullmatch(day, word))


def _hours(text: str) -> Hours | None:
    if text in CLOSED:
        return ()
    if text in _ALWAYS:
        return ((0, DAY),)
    found = []
    for part in re.split(_AND, text):
        begins, ends = (_seconds(word) for word in re.split(_TO, part))
        if begins is None or ends is None or begins == ends:
            return None
        found.append((begins, ends if ends > begins else DAY))
    return tuple(sorted(found))


def _seconds(word: str) -> int | None:
    try:
        return seconds_of(word, "the cell")
    except InputError:
        return None
