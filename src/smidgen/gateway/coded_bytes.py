"""Bytes written as a text, in base64 as a rule: what they show cannot be seen, wherever in a text they stand."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"\s*data:[^,\s]{0,200},|(?=[^A-Za-z0-9]*[A-Za-z0-9])[A-Za-z0-9+/_=-]{1000,}\s*\Z", re.IGNORECASE)
"""How a text begins that is nothing else, in whatever letters."""
_URL = re.compile(r"\bdata:[a-z]{1,20}/[^,\s]{0,200};base64,[A-Za-z0-9+/_=%-]*", re.IGNORECASE)
_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*")
"""One that says who somebody is (JWT): it is read, by its form."""
_RUN = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_=-]{400,}")
_LINE_END = r"={0,2}[ \t]*(?:\r?\n|(?:\\r)?\\n)[ \t>]*"
_LINES = re.compile(
    rf"(?:(?<![A-Za-z0-9+/=_-])|(?<=\\n))(?:[A-Za-z0-9+/]{{60,76}}{_LINE_END}){{3,}}[A-Za-z0-9+/]{{60,76}}(?![A-Za-z0-9+/])"
)
"""As mails and certificates have them: four lines of a length and more, whose ends may be those of JSON."""
_LEAST = 50
"""One sign in so many, at least, is a capital, one a small letter and one a digit: a path has hardly any capitals, a rule none."""


def stretches(text: str) -> list[tuple[int, int]]:
    """Where a text holds bytes: the start and the end (exclusive) of each stretch, in their order and apart."""
    if _WHOLE.match(text):
        return [(0, len(text))]
    # What a token covers is blank: every place stays what it was.
    plain = _TOKEN.sub(lambda token: " " * len(token[0]), text)
    found = [match.span() for match in _URL.finditer(plain)]
    found += [match.span() for pattern in (_RUN, _LINES) for match in pattern.finditer(plain) if _mixed(match[0])]
    apart: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end))
        else:
            apart.append((start, end))
    return apart


def _mixed(run: str) -> bool:
    """Whether it has capitals, small letters and digits as base64 has."""
    return all(sum(map(is_one, run)) * _LEAST >= len(run) for is_one in (str.isupper, str.islower, str.isdigit))
