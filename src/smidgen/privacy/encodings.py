"""Encoded text: backslash escapes and percent signs read as they are meant, and bytes written as base64, which cannot be read."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

_REST = r"[^\s\"'<>|*?]*"
_DRIVE = rf"(?<![\w\\])[C-PR-Zc-pr-z]:\\(?!\\){_REST}"
"""But for A, B and Q, which speakers, answers and questions are called: `Q:\\nWho?\\nA:\\nAnna`."""
_SHARE = rf"(?<![^\s(`<'])\\\\[\w.$-]+\\(?!\\){_REST}"
"""Not behind a quote, where two backslashes are one that is escaped."""
_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_CODE = r"\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
_ESCAPE = re.compile(rf"{_DRIVE}|{_SHARE}|({_PAIR}|{_CODE}|\\[\"'\\/bfnrt])")
"""From left to right, so that `\\\\n` is a backslash and the letter. What a path on Windows has in it is none."""
_MEANT = {"b": " ", "f": " ", "n": "\n", "r": "\r", "t": "\t"}
"""Letters behind a backslash; all are blanks."""


@dataclass(frozen=True, slots=True)
class UnescapedText:
    """A text as it is meant.

    Attributes:
        plain: the text, with each escape as the one character that it stands for.
        ends: where in `plain` such characters end, in their order.
        longer: how much longer the escapes up to each of these are, all together; at first none.
    """

    plain: str
    ends: tuple[int, ...] = ()
    longer: tuple[int, ...] = (0,)

    def place(self, place: int) -> int:
        """Where in the text as it is written a place of `plain` is, the start or the end of a stretch. No escape is cut by it."""
        return place + self.longer[bisect.bisect_right(self.ends, place)]


def unescape(text: str) -> UnescapedText:
    """The text as its escapes are meant: those of JSON, and of an apostrophe. A half of a character, alone, stays as it is written."""
    if "\\" not in text:
        return UnescapedText(text)
    pieces: list[str] = []
    ends: list[int] = []
    longer = [0]
    at = length = 0
    for match in _ESCAPE.finditer(text):
        if match[1] is None:
            continue
        pieces += [text[at : match.start()], _meant(match[1])]
        length += match.start() - at + 1
        at = match.end()
        ends.append(length)
        longer.append(at - length)
    return UnescapedText("".join([*pieces, text[at:]]), tuple(ends), tuple(longer))


def _meant(escape: str) -> str:
    """The one character of an escape."""
    if escape[1] == "u":
        units = (int(unit, 16) for unit in escape.split("\\u")[1:])
        return b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be")
    return _MEANT.get(escape[1], escape[1])


_PERCENT_CODE = re.compile(r"%[0-9A-Fa-f]{2}")
_WORD = re.compile(r"\S+")
_MOST = 3
"""Times that a text may be encoded over and over."""


def percent_decoded(text: str) -> str:
    """The text with its percent-encoded bytes as characters; in words that have such a plus is a blank, as in a query."""
    for _ in range(_MOST):
        if not _PERCENT_CODE.search(text):
            break
        text = _WORD.sub(lambda word: unquote_plus(word[0]) if _PERCENT_CODE.search(word[0]) else word[0], text)
    return text


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


def base64_spans(text: str) -> list[tuple[int, int]]:
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
