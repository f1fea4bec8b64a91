"""Encoded text: decode backslash escapes and percent signs, and find bytes written as base64, which cannot be read."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from html import unescape as html_unescaped
from urllib.parse import unquote_plus

_REST = r"[^\s\"'<>|*?]*"
_DRIVE = rf"(?<![\w\\])[C-PR-Zc-pr-z]:\\(?!\\){_REST}"
"""Except A, B and Q, which often stand for speakers, answers and questions: `Q:\\nWho?\\nA:\\nAnna`."""
_SHARE = rf"(?<![^\s(`<'])\\\\[\w.$-]+\\(?!\\){_REST}"
"""Not after a quote, where two backslashes are one escaped backslash."""
_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_CODE = r"\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
_ESCAPE = re.compile(rf"{_DRIVE}|{_SHARE}|({_PAIR}|{_CODE}|\\[\"'\\/bfnrt])")
"""Matched from left to right, so that `\\\\n` is a backslash and the letter n. Windows paths contain no escapes."""
_MEANT = {"b": " ", "f": " ", "n": "\n", "r": "\r", "t": "\t"}
"""Whitespace for the letter after a backslash."""


@dataclass(frozen=True, slots=True)
class UnescapedText:
    """A text with its escapes decoded, and a map of places back to the original.

    Attributes:
        plain: the text, with each escape as the one character that it stands for.
        ends: ends of these characters in `plain`, in order.
        longer: total extra length of the escapes up to each of these; 0 at first.
    """

    plain: str
    ends: tuple[int, ...] = ()
    longer: tuple[int, ...] = (0,)

    def place(self, place: int) -> int:
        """Map a place in `plain`, the start or end of a span, to the original text. It never falls inside an escape."""
        return place + self.longer[bisect.bisect_right(self.ends, place)]


def unescape(text: str) -> UnescapedText:
    """Decode the escapes of JSON, and that of an apostrophe. A lone surrogate stays as written."""
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
    """Return the character of an escape."""
    if escape[1] == "u":
        units = (int(unit, 16) for unit in escape.split("\\u")[1:])
        return b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be")
    return _MEANT.get(escape[1], escape[1])


_PERCENT_CODE = re.compile(r"%[0-9A-Fa-f]{2}")
_WORD = re.compile(r"\S+")
_MOST = 3
"""Most rounds of repeated encoding."""


def percent_decoded(text: str) -> str:
    """Decode percent-encoded bytes. In a word with such bytes a plus is a blank, as in a query."""
    for _ in range(_MOST):
        if not _PERCENT_CODE.search(text):
            break
        text = _WORD.sub(lambda word: unquote_plus(word[0]) if _PERCENT_CODE.search(word[0]) else word[0], text)
    return text


_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|commat|period|lowbar|hyphen|nbsp|amp);|\\x[0-9a-fA-F]{2}")
"""Characters as HTML and as the string literals of programs write them."""


def references_decoded(text: str) -> str:
    """Decode the character references of HTML and escapes such as `\\x40`."""
    for _ in range(_MOST):
        if not _REFERENCE.search(text):
            break
        text = _REFERENCE.sub(lambda match: chr(int(match[0][2:], 16)) if match[0][0] == "\\" else html_unescaped(match[0]), text)
    return text


_WHOLE = re.compile(r"\s*data:[^,\s]{0,200},|(?=[^A-Za-z0-9]*[A-Za-z0-9])[A-Za-z0-9+/_=-]{1000,}\s*\Z", re.IGNORECASE)
"""Start of a text that is nothing but bytes, in any case."""
_URL = re.compile(r"\bdata:(?:[a-z]{1,20}/[^,\s]{0,200})?;base64,[A-Za-z0-9+/_=%-]*", re.IGNORECASE)
_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*")
"""A token that identifies a person (JWT). It is not treated as bytes, because a pattern finds it."""
_RUN = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_=-]{400,}")
_LINE_END = r"={0,2}[ \t]*(?:\r?\n|(?:\\r)?\\n)[ \t>]*"
_LINES = re.compile(
    rf"(?:(?<![A-Za-z0-9+/=_-])|(?<=\\n))(?:[A-Za-z0-9+/]{{60,76}}{_LINE_END}){{3,}}[A-Za-z0-9+/]{{60,76}}(?![A-Za-z0-9+/])"
)
"""Base64 in lines, as in mails and certificates: at least four lines of similar length, whose ends may be escaped in JSON."""
_LEAST = 50
"""At least one in this many characters must be a capital, one a small letter and one a digit: a path has hardly any capitals, a ruler line
none."""


def base64_spans(text: str) -> list[tuple[int, int]]:
    """Return the start and end (exclusive) of each stretch of bytes in a text, in order, without overlap."""
    if _WHOLE.match(text):
        return [(0, len(text))]
    # Blank out tokens, so that places stay the same.
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
    """Return True if a run mixes capitals, small letters and digits as base64 does."""
    return all(sum(map(is_one, run)) * _LEAST >= len(run) for is_one in (str.isupper, str.islower, str.isdigit))
