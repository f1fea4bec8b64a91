"""Restore values for placeholders (`[PERSON_1]`) in a large model's text. A placeholder that is not surely ours stays.

A model may write `[Person_1]` for `[PERSON_1]`, or `[PERSON\\_1]` in Markdown: both are surely ours. In small letters, with a blank, or
without brackets, it could be code or a template of the model's own, and stays unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_SIGN = re.compile(r'\\[^\n]?|["\n]')
_OPENED = re.compile(r"[{\[]\s*\Z")
"""Start of an object or a list: a quote after it opens a string."""
_NAMED = re.compile(r"\s*:\s*")
"""Separator between the name of a field and its value."""
_BETWEEN = re.compile(r"(?=[^,:]*[,:])(?:[\s,:\[\]{}\d.eE+-]|true|false|null)*")
"""Characters between two strings of JSON."""
_LONGEST = 200


class JsonQuotes:
    """Tracks whether a text, read piece by piece, is inside a string of JSON.

    A quote opens a string after a bracket, after a quoted name and a colon (`"key": "`), and if only JSON lies between it and a string
    before it. Any other quote is prose: `He said: "Dear`. A string ends at the end of its line.

    Attributes:
        inside: whether the next character is inside a string of JSON.
    """

    def __init__(self) -> None:
        self.inside = False
        self._told = False
        """Whether the last quote closed a string."""
        self._prose = 0
        """Number of quotes of this line outside JSON, counted up to two."""
        self._gap = ""
        self._cut = False
        """Whether the last character was a backslash whose partner is still to come."""

    def read(self, text: str) -> None:
        """Read the next piece."""
        if not text:
            return
        at = 1 if self._cut and text[0] != "\n" else 0
        begun, self._cut = 0, False
        for sign in _SIGN.finditer(text, at):
            if sign[0] == '"':
                self._since(text[begun : sign.start()])
                self._quote()
                begun = sign.end()
            elif sign[0] == "\n":
                self._line()
            elif sign.end() == len(text) and len(sign[0]) == 1:
                self._cut = True
        self._since(text[begun:])

    def _since(self, text: str) -> None:
        if not self.inside:
            self._gap = (self._gap + text)[-_LONGEST - 1 :]

    def _quote(self) -> None:
        if self.inside:
            self.inside, self._told = False, True
        elif (
            _OPENED.search(self._gap)
            or (self._prose > 1 and _NAMED.fullmatch(self._gap))
            or (self._told and len(self._gap) <= _LONGEST and _BETWEEN.fullmatch(self._gap))
        ):
            self.inside = True
        else:
            self._told, self._prose = False, min(2, self._prose + 1)
        self._gap = ""

    def _line(self) -> None:
        """Handle the end of a line: no string of JSON continues after it."""
        self._prose = 0
        if self.inside:
            self.inside = self._told = False
            self._gap = ""


_NAME = r"([A-Z][A-Za-z]*(?:{0}_[A-Z][A-Za-z]*)*){0}_([0-9]{{1,9}})"
_EXACT = re.compile(rf"\[{_NAME.format('')}\]")
_WRITTEN = re.compile(rf"\\\[{_NAME.format(chr(92) * 2 + '?')}\\\]|\[{_NAME.format(chr(92) * 2 + '?')}\]")
"""For text that may be Markdown: a backslash before a bracket belongs to it only if both brackets have one; else it may be a path's."""
_BEGUN = re.compile(r"\\?(?:\[(?:[A-Z][A-Za-z_\\0-9]*)?)?\Z")
"""End of a text that could become a placeholder when more comes."""
_JSON = re.compile(r"\{|(?:\[\s*)+[{\"]")
"""Start of a text that is JSON. A placeholder, a link or a number in brackets does not match."""
_UNTOLD = re.compile(r"(?:\[\s*)*\Z")
"""A beginning that could still be either."""
_MOST_BEGUN = 100
_ODD = re.compile(r"\\[bf]")
"""Escapes that a value never has: the text is a path."""
_ANY = re.compile(r"\[([A-Za-z_\\ ]+?)\\?[_ ]([0-9]{1,9})\\?\]")


def placeholders_like(text: str) -> set[str]:
    """Return placeholders, in standard form, that a text contains in any spelling. They must not be assigned."""
    return {f"[{match[1].replace(chr(92), '').replace(' ', '_').strip('_').upper()}_{int(match[2])}]" for match in _ANY.finditer(text)}


class Placeholders:
    """The placeholders of one request, and their values.

    Args:
        found: placeholders such as `[PERSON_1]`, and their values.
    """

    def __init__(self, found: Mapping[str, str]) -> None:
        self._found = dict(found)
        self._escaped = {place: _escaped(value) for place, value in self._found.items()}

    def __bool__(self) -> bool:
        return bool(self._found)

    def restored(self, text: str, escaped: bool = False, before: JsonQuotes | None = None) -> str:
        """Return the text with the values restored.

        `escaped`: the text is JSON, so values are escaped. In other text, values are escaped inside strings of JSON, as far as the text
        before shows: here, and in `before`, which keeps reading.
        """
        if escaped:
            return _EXACT.sub(lambda match: self._escaped.get(_plain(match[0]), match[0]), text)
        if self._escaped == self._found:
            return _WRITTEN.sub(lambda match: self._found.get(_plain(match[0]), match[0]), text)
        quotes = JsonQuotes() if before is None else before
        done, at = [], 0
        for match in _WRITTEN.finditer(text):
            quotes.read(text[at : match.start()])
            values = self._escaped if quotes.inside else self._found
            done += [text[at : match.start()], values.get(_plain(match[0]), match[0])]
            quotes.read(match[0])
            at = match.end()
        quotes.read(text[at:])
        return "".join([*done, text[at:]])

    def held(self, text: str) -> int:
        """Return the number of characters at the end of a text that could still become a placeholder of this request."""
        begun = _BEGUN.search(text)
        if begun is None or not begun[0]:
            return 0
        start = _plain(begun[0])
        return len(begun[0]) if any(place.startswith(start) for place in self._found) else 0


class PlaceholderStream:
    """Restores a text that comes in pieces. The end of a piece is held back while it could still become a placeholder.

    Args:
        placeholders: of the request.
        escaped: whether the text is JSON; None: its first characters decide.
    """

    def __init__(self, placeholders: Placeholders, escaped: bool | None = False) -> None:
        self._placeholders, self._escaped, self._quotes = placeholders, escaped, JsonQuotes()
        self._begun = ""
        self.kept = ""

    def take(self, piece: str) -> str:
        """Add a piece and return the part that can be sent."""
        if self._escaped is None:
            self._begun = (self._begun + piece).lstrip()
            if len(self._begun) > _MOST_BEGUN or not _UNTOLD.match(self._begun):
                self._escaped, self._begun = _JSON.match(self._begun) is not None, ""
        text = self.kept + piece
        held = self._placeholders.held(text)
        self.kept = text[len(text) - held :]
        return self._placeholders.restored(text[: len(text) - held], bool(self._escaped), self._quotes)

    def rest(self) -> str:
        """Return the held-back part at the end of the text."""
        rest, self.kept = self.kept, ""
        return self._placeholders.restored(rest, bool(self._escaped), self._quotes)


def _escaped(value: str) -> str:
    """Return a value as inside a string of JSON. A value that came from such a string in other text is already escaped, and stays."""
    if "\\" in value and not _ODD.search(value):
        try:
            json.loads(f'"{value}"')
        except ValueError:
            pass
        else:
            return value
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _plain(written: str) -> str:
    return written.replace("\\", "").upper()
