"""Stretches of a text whose kind shows by itself: e-mail addresses, days, times of day, phone numbers, codes and numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from smidgen.text import clock, dates, numbers, relative_days

Stretch = tuple[int, int, str]
"""First character, one past the last, and the kind."""

EMAIL, DAY, TIME, PHONE, CODE, NUMBER = "email", "day", "time", "phone", "code", "number"

EMAIL_FORM = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}(?<![.-])")
PHONE_FORM = re.compile(r"(?<![\w.])(?:\+|00)?\(?\d{1,5}\)?(?:[ /-]?\(?\d{2,}\)?){1,6}(?!\w)")
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_CODE_FORM = re.compile(r"(?<![\w@.])(?=[\w-]{0,30}\d)(?=[\w-]{0,30}[^\W\d_])[^\W_]+(?:-[^\W_]+){0,4}(?![\w@])")
_UNIT = re.compile(r"\d+(?:[a-zA-Zµ°]{1,3})")


def stretches(text: str) -> list[Stretch]:
    """The stretches of a text in order; none overlap. Of two that do, the more explicit kind counts."""
    found: list[Stretch] = []
    taken = bytearray(len(text))
    for kind, places in _KINDS.items():
        for start, end in places(text):
            if start < end and not any(taken[start:end]):
                found.append((start, end, kind))
                taken[start:end] = b"\x01" * (end - start)
    return sorted(found)


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Where phone numbers may stand: seven to fifteen digits, in groups."""
    for match in PHONE_FORM.finditer(text):
        if _FEWEST_DIGITS <= sum(letter.isdigit() for letter in match.group()) <= _MOST_DIGITS:
            yield match.span()


def _emails(text: str) -> Iterator[tuple[int, int]]:
    yield from (match.span() for match in EMAIL_FORM.finditer(text))


def _codes(text: str) -> Iterator[tuple[int, int]]:
    """Words with letters and digits, such as `FH-20417`; not a number with its unit."""
    yield from (match.span() for match in _CODE_FORM.finditer(text) if not _UNIT.fullmatch(match.group()))


def _days(text: str) -> Iterator[tuple[int, int]]:
    yield from dates.find(text)
    yield from relative_days.find(text)


_KINDS: dict[str, Callable[[str], Iterator[tuple[int, int]] | list[tuple[int, int]]]] = {
    EMAIL: _emails,
    DAY: _days,
    TIME: clock.find,
    PHONE: phones,
    CODE: _codes,
    NUMBER: numbers.find,
}
KINDS = tuple(_KINDS)
"""The kinds, the most explicit first."""
