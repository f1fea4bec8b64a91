"""Opening hours: of a week in one text, as OpenStreetMap and door signs write them (`Apr-Oct Mo-Fr 09:00-18:00; Sa 10-14; Dec 25 off`,
`24/7`), and of a day, in any words or in a strict form."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from smidgen.text import clock, dates
from smidgen.text.durations import DAY

Hours: TypeAlias = tuple[tuple[int, int], ...]
"""Stretches of a day in which a place is open, seconds after midnight."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLOSED = ("closed", "off", "-", "–", "geschlossen", "zu", "ruhetag")
MAX_TEXT_LENGTH = 400
_ALWAYS = ("24/7", "24h", "always", "open", "daily", "täglich", "immer")
_DAYS = (
    "mo(?:n(?:days?)?|ntags?)?",
    "tu(?:e(?:s(?:days?)?)?)?|di(?:enstags?)?",
    "we(?:d(?:nesdays?)?)?|mi(?:ttwochs?)?",
    "th(?:u(?:rs(?:days?)?)?)?|do(?:nnerstags?)?",
    "fr(?:i(?:days?)?|eitags?)?",
    "sa(?:t(?:urdays?)?|mstags?)?",
    "su(?:n(?:days?)?)?|so(?:nntags?)?",
)
_HOLIDAYS = r"ph|sh|public holidays?|holidays|feiertags?|feiertage"
_WEEKDAY = "|".join(f"(?:{day})" for day in _DAYS)
_SPAN = rf"(?:(?:{_WEEKDAY})(?:\s*(?:-|–|to|bis)\s*(?:{_WEEKDAY}))?|{_HOLIDAYS}|daily|täglich)\.?"
_RANGE_MARK = r"\s*(?:-|–|—|to|bis)\s*"
_TIME = r"\d{1,2}(?:[:.]\d{2})?(?:\s*[ap]\.?m\b\.?)?(?:\s*uhr)?"
_LIST_MARK = r"\s*(?:,|&|\+|\band\b|\bund\b)\s*"
_MONTHS = dates.months()
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = rf"(?:(?:{_MONTH})\b\.?(?:\s*\d{{1,2}}\b(?![:.]\d))?|\d{{1,2}}\.?\s*(?:{_MONTH})\b\.?)"
_SEASON = rf"{_DATE}(?:{_RANGE_MARK}(?:{_DATE}|\d{{1,2}}\b(?![:.]\d)))?"
_RULE = re.compile(
    rf"(?:(?P<months>{_SEASON}(?:{_LIST_MARK}{_SEASON})*)\s*:?\s*)?(?P<days>{_SPAN}(?:{_LIST_MARK}{_SPAN})*)?\s*:?\s*"
    rf"(?P<hours>{_TIME}{_RANGE_MARK}{_TIME}(?:{_LIST_MARK}{_TIME}{_RANGE_MARK}{_TIME})*|{'|'.join(map(re.escape, CLOSED))}|24/7|24h)"
    r"\s*(?:[;,|/\n]\s*|$|\s+)"
)
_EXACT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
Season: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""The first and the last day, each as month and day; one that begins after its end goes over New Year."""


@dataclass(frozen=True, slots=True)
class HoursRule:
    """Hours of some weekdays (from 0 for Monday), in some seasons or, without any, in the whole year."""

    weekdays: frozenset[int]
    hours: Hours
    seasons: tuple[Season, ...] = ()


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """When a place is open. The last rule for a day applies; on a day without a rule it is closed."""

    rules: tuple[HoursRule, ...]

    @property
    def dated(self) -> bool:
        """Whether the hours depend on the date."""
        return any(rule.seasons for rule in self.rules)

    def on(self, weekday: int, date: datetime.date | None = None) -> Hours:
        """The hours of a day. `date`: needed where the hours are dated."""
        found: Hours = ()
        for rule in self.rules:
            if weekday in rule.weekdays and (not rule.seasons or (date is not None and _in_season(date, rule.seasons))):
                found = rule.hours
        return found


def by_weekday(week: Iterable[Hours]) -> OpeningHours:
    """Opening hours from the hours of each weekday from Monday."""
    return OpeningHours(tuple(HoursRule(frozenset((day,)), hours) for day, hours in enumerate(week)))


def read_opening_hours(text: str) -> OpeningHours | None:
    """Parse opening hours; None for a text that says anything else, such as sunrise or Easter, or that may be read in two ways.

    A later part counts for the days that it names. Days that no part names are closed, if any part names open days. Holidays are no days
    of the week and are not read. What is open past midnight counts until midnight.
    """
    plain = " ".join(text.casefold().split())
    if len(plain) > MAX_TEXT_LENGTH:
        return None
    if plain in _ALWAYS:
        return by_weekday((((0, DAY),),) * 7)
    rules: list[HoursRule] = []
    place = 0
    while place < len(plain):
        match = _RULE.match(plain, place)
        rule = None if match is None or match.end() == place else _rule(match)
        opens_always = rule is not None and bool(rule.weekdays and rule.hours) and not rule.seasons
        # `Apr-Oct Mo-Fr 10-18, Sa 10-14`: it is unclear whether Saturday is meant for the whole year.
        if match is None or rule is None or (opens_always and any(before.seasons for before in rules)):
            return None
        rules.append(rule)
        place = match.end()
    if not any(rule.hours for rule in rules) and len(frozenset().union(*(rule.weekdays for rule in rules if not rule.seasons))) < 7:
        return None  # `Monday off`: it is unclear when it is open
    return OpeningHours(tuple(rules))


def _rule(match: re.Match[str]) -> HoursRule | None:
    hours = _hours(match["hours"])
    seasons = _seasons(match["months"]) if match["months"] else ()
    if hours is None or seasons is None:
        return None
    if match["months"] and re.fullmatch(rf"(?:{_MONTH})", match["months"].strip(" .:")) and re.match(r"\d{1,2}\s*[-–—]", match["hours"]):
        return None  # `Apr 10-18`: days or hours
    return HoursRule(frozenset(_weekdays(match["days"]) if match["days"] else range(7)), hours, seasons)


def _seasons(text: str) -> tuple[Season, ...] | None:
    """The seasons of words such as `apr-oct` or `15 may - 30 sep, dec`; None for a day that no year has."""
    found = []
    for part in re.split(_LIST_MARK, text.strip(" :")):
        ends = re.split(_RANGE_MARK, part, maxsplit=1)
        first, last = (_month_day(word) for word in (ends[0], ends[-1]))
        first_month, last_month = first[0] or 0, last[0] or first[0] or 0
        begins, ends_on = (first_month, first[1] or 1), (last_month, last[1] or 31)
        if not all(1 <= day <= 31 for _, day in (begins, ends_on)) or (len(ends) > 1 and (first[1] is None) != (last[1] is None)):
            return None
        found.append((begins, ends_on if len(ends) > 1 or first[1] is None else begins))
    return tuple(found)


def _month_day(word: str) -> tuple[int | None, int | None]:
    month, day = re.search(r"[^\W\d_]+", word), re.search(r"\d+", word)
    return _MONTHS[month[0]] if month else None, int(day[0]) if day else None


def _in_season(date: datetime.date, seasons: Iterable[Season]) -> bool:
    day = (date.month, date.day)
    return any(first <= day <= last if first <= last else day >= first or day <= last for first, last in seasons)


def _weekdays(text: str) -> list[int]:
    """The weekdays, from 0 for Monday, of words such as `mo-we, fr`; a range may go past Sunday."""
    found: list[int] = []
    for part in re.split(_LIST_MARK, text):
        if re.fullmatch(rf"(?:{_HOLIDAYS})\.?", part):
            continue
        if part.strip(".") in _ALWAYS:
            return list(range(7))
        ends = [_weekday(word.strip(" .")) for word in re.split(r"\s*(?:-|–|\bto\b|\bbis\b)\s*", part)]
        found += [(ends[0] + step) % 7 for step in range((ends[-1] - ends[0]) % 7 + 1)]
    return found


def _weekday(word: str) -> int:
    return next(number for number, day in enumerate(_DAYS) if re.fullmatch(day, word))


def _hours(text: str) -> Hours | None:
    if text in CLOSED:
        return ()
    if text in _ALWAYS:
        return ((0, DAY),)
    found = []
    for _, begins, ends in read_day(text, _LIST_MARK, _RANGE_MARK):
        if begins is None or ends is None or begins == ends:
            return None
        found.append((begins, ends if ends > begins else DAY))
    return tuple(sorted(found))


def read_day(text: str, between: str, to: str) -> Iterator[tuple[str, int | None, int | None]]:
    """Each stretch of a day as written, with its beginning and end in seconds after midnight; None for an end that is not understood.

    `between`, `to`: regular expressions for what joins stretches, and the two ends of one.
    """
    for part in re.split(between, text):
        ends = [clock.read_alone(word) for word in re.split(to, part.strip())]
        begins, closes = (_seconds(end) for end in ends) if len(ends) == 2 else (None, None)
        yield part.strip(), begins, closes


def _seconds(time: str | None) -> int | None:
    return None if time is None else 3600 * int(time[:2]) + 60 * int(time[3:])


def read_exact_day(text: str) -> Hours | None:
    """The stretches of a day in the form `09:00-12:00, 13:00-17:30`; empty for a closed day; None for any other form."""
    matches = [_EXACT.fullmatch(part.strip()) for part in text.split(",")] if text else []
    found = [tuple(map(int, match.groups())) for match in matches if match is not None]
    if len(found) < len(matches):
        return None
    return tuple((3600 * opens + 60 * past, 3600 * closes + 60 * later) for opens, past, closes, later in found)
