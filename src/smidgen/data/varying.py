"""Words that a program sends again and again, without what varies in them: dates, times, numbers, ids, and what stands for personal data.

Two prompts that differ in these alone are one prompt. What is left over says nothing to a reader: it is there to be compared.
"""

from __future__ import annotations

import re

from smidgen.core.stand_ins import STAND_IN
from smidgen.stats.dates import month_names

_MARK = "0"
"""What stands for whatever varies. A number, so that whoever reads the words for names still reads a sentence."""
_WEEKDAYS = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    *("mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat", "sun"),
    *("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonnabend", "sonntag"),
    *("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    *("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    *("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
    *("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"),
)
_DAYS = month_names().union(_WEEKDAYS)
_NUMBERED = re.compile(r"(?<![\w-])[\w-]*\d[\w-]*")
"""A word with a digit in it: a number, a day, an id, however its letters are mixed in."""
_CAPITAL = re.compile(r"\b[^\W\d_a-z][^\W\d_]{2,}\b")
_BESIDE = re.compile(r"(?:(?<=0)[\s.,]{1,3}(?:de |of )?[^\W\d_]{3,}\b)|(?:\b[^\W\d_]{3,}[\s.,]{1,3}(?=0))")
"""A word beside a number: there a month is one in small letters, too."""
_HALF = re.compile(r"(?<=0)\s?(?:[ap]\.m\.|[ap]m\b|UTC\b|GMT\b|CES?T\b|[ECMP][SD]T\b|BST\b)", re.IGNORECASE)
_RUN = re.compile(r"0(?:[\s.,:;/+–-]*0)+")
"""A day and its time, a number and its thousands: one thing that varies."""


def constant(text: str) -> str:
    """What stays of a text, with one sign in the place of each thing that varies."""
    text = _NUMBERED.sub(_MARK, STAND_IN.sub(_MARK, text))
    text = _HALF.sub("", _CAPITAL.sub(_day, text))
    return _RUN.sub(_MARK, _BESIDE.sub(_day_beside, text))


def _day(match: re.Match[str]) -> str:
    return _MARK if match[0].casefold() in _DAYS else match[0]


def _day_beside(match: re.Match[str]) -> str:
    word = match[0].strip(" .,\t\n").removeprefix("de ").removeprefix("of ")
    return f" {_MARK} " if word.casefold() in _DAYS else match[0]
