"""A text as its escapes are meant. In JSON that stands in a text a line break is a backslash and a letter, which sticks to the next word
and hides it from whoever looks for words."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass

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
class Reading:
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


def read(text: str) -> Reading:
    """The text as its escapes are meant: those of JSON, and of an apostrophe. A half of a character, alone, stays as it is written."""
    if "\\" not in text:
        return Reading(text)
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
    return Reading("".join([*pieces, text[at:]]), tuple(ends), tuple(longer))


def _meant(escape: str) -> str:
    """The one character of an escape."""
    if escape[1] == "u":
        units = (int(unit, 16) for unit in escape.split("\\u")[1:])
        return b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be")
    return _MEANT.get(escape[1], escape[1])
