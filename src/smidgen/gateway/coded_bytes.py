"""Bytes written as a text, in base64 as a rule: what they show cannot be seen, wherever in a text they stand."""

from __future__ import annotations

import re

_URL = re.compile(r"\A\s*data:[^,\s]{0,200},|\bdata:[a-z]{1,20}/[^,\s]{0,200};base64,", re.IGNORECASE)
_WHOLE = re.compile(r"(?=[^A-Za-z0-9]*[A-Za-z0-9])[A-Za-z0-9+/_=-]{1000,}\s*\Z")
"""A text that is nothing else, in whatever letters."""
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


def held(text: str) -> bool:
    """Whether a text holds bytes."""
    if _URL.search(text) or _WHOLE.match(text):
        return True
    text = _TOKEN.sub(" ", text)
    return any(_mixed(match[0]) for pattern in (_RUN, _LINES) for match in pattern.finditer(text))


def _mixed(run: str) -> bool:
    """Whether it has capitals, small letters and digits as base64 has."""
    return all(sum(map(is_one, run)) * _LEAST >= len(run) for is_one in (str.isupper, str.islower, str.isdigit))
