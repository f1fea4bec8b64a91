"""Dates in the ways that people and machines write them."""

from __future__ import annotations

import datetime
import random

from tools.redaction.words import listed

_OWN_MONTHS = ("de", "fr", "es", "it")


def day(rng: random.Random) -> datetime.date:
    """Any day from 1930 on."""
    return datetime.date(1930, 1, 1) + datetime.timedelta(days=rng.randrange(36_000))


def date(rng: random.Random, language: str = "") -> str:
    """A day."""
    when, way = day(rng), rng.random()
    if way < 0.48:
        text = when.strftime(rng.choice(listed("date_numbers")))
        return text.replace("/0", "/").replace(".0", ".").removeprefix("0") if rng.random() < 0.3 else text
    month = _month(when, rng, language)
    if language in ("de",):
        return f"{when.day}. {month} {when.year}"
    if language:
        return f"{when.day} {'de ' if language in ('es', 'pt') else ''}{month} {'de ' if language in ('es', 'pt') else ''}{when.year}"
    number = f"{when.day}{_ordinal(when.day) if rng.random() < 0.35 else ''}"
    counted, weekday, short = f"{when.day}{_ordinal(when.day)}", listed("weekdays")[when.weekday()], month[:3]
    forms = (
        f"{month} {number}, {when.year}",
        f"{number} {month} {when.year}",
        f"{month} {number}",
        f"{number} {month}",
        f"{month} {number} {when.year}",
        f"{number} of {month}, {when.year}",
        f"the {counted} of {month}",
        f"{short} {number}, {when.year}",
        f"{when.day}-{short}-{when.year}",
        f"{when.day} {short} {when:%y}",
        f"{weekday}, {month} {number}",
        f"{weekday[:3]} {number} {short} {when.year}",
        f"{weekday}, {number} {month} {when.year}",
    )
    return rng.choice(forms)


def month(rng: random.Random, language: str = "") -> str:
    """A month of a year."""
    when = day(rng)
    return rng.choice(
        (
            f"{_month(when, rng, language)} {when.year}",
            f"{when:%m/%Y}",
            f"{listed('months')[when.month - 1][:3]} {when.year}",
            f"{when:%Y-%m}",
        )
    )


def moment(rng: random.Random, language: str = "") -> str:
    """A day with a time."""
    hour, minute = rng.randint(0, 23), rng.choice((0, 15, 30, 45, rng.randint(0, 59)))
    time = rng.choice(
        (
            f"{hour:02d}:{minute:02d}",
            f"{hour % 12 or 12}:{minute:02d} {'AM' if hour < 12 else 'PM'}",
            f"{hour % 12 or 12}{'am' if hour < 12 else 'pm'}",
        )
    )
    return machine(rng) if rng.random() < 0.15 else f"{date(rng, language)}{rng.choice((' ', ' at ', ', '))}{time}"


def machine(rng: random.Random) -> str:
    """A day with a time as a log has it."""
    when = datetime.datetime.combine(day(rng), datetime.time(rng.randrange(24), rng.randrange(60), rng.randrange(60)))
    return when.strftime(rng.choice(listed("date_stamps")))


def _month(when: datetime.date, rng: random.Random, language: str) -> str:
    return listed(f"months_{language}" if language in _OWN_MONTHS else "months")[when.month - 1]


def _ordinal(number: int) -> str:
    return "th" if 10 < number < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
