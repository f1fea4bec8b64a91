"""Placeholders (`[PERSON_1]`) in what a large model wrote: the values go back in their place, and never a value that is not meant.

A model may write `[Person_1]` for `[PERSON_1]`, or `[PERSON\\_1]` in Markdown: both are surely ours. All in small letters, with a blank, or
without brackets it could be code or a template of its own, and stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_SIGN = re.compile(r'\\[^\n]?|["\n]')
_OPENED = re.compile(r"[{\[]\s*\Z")
"""An object or a list begins: what has a quote next is one of its strings."""
_NAMED = re.compile(r"\s*:\s*")
"""Between the name of a field and its value."""
_BETWEEN = re.compile(r"(?=[^,:]*[,:])(?:[\s,:\[\]{}\d.eE+-]|true|false|null)*")
"""Between a string of JSON and the next one."""
_LONGEST = 200


class JsonQuotes:
    """A text that is read on and on.

    A quote opens a string behind a bracket, behind a quoted name and a colon (`"key": "`), and where nothing but JSON is between it and a
    string before it. Any other one is prose: `He said: "Dear`. A string ends with its line.

    Attributes:
        inside: whether what comes next stands in a string of JSON.
    """

    def __init__(self) -> None:
        self.inside = False
        self._told = False
        """Whether the last quote closed a string."""
        self._prose = 0
        """Quotes of this line that are none of JSON, two at most."""
        self._gap = ""
        self._cut = False
        """Whether the last sign was a backslash, and what it belongs to is still to come."""

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
        """A line ends; no string of JSON goes on behind it."""
        self._prose = 0
        if self.inside:
            self.inside = self._told = False
            self._gap = ""


_NAME = r"([A-Z][A-Za-z]*(?:{0}_[A-Z][A-Za-z]*)*){0}_([0-9]{{1,9}})"
_EXACT = re.compile(rf"\[{_NAME.format('')}\]")
_WRITTEN = re.compile(rf"\\\[{_NAME.format(chr(92) * 2 + '?')}\\\]|\[{_NAME.format(chr(92) * 2 + '?')}\]")
"""In a text that may be Markdown: a sign before a bracket belongs to it only where both have one, else it may be that of a path."""
_BEGUN = re.compile(r"\\?(?:\[(?:[A-Z][A-Za-z_\\0-9]*)?)?\Z")
"""The start of a text that could become a placeholder when more comes."""
_JSON = re.compile(r"\{|(?:\[\s*)+[{\"]")
"""The start of a text that is JSON: no placeholder begins so, and no text with a link or a number in brackets before it."""
_UNTOLD = re.compile(r"(?:\[\s*)*\Z")
"""A beginning that tells nothing yet."""
_MOST_BEGUN = 100
_ODD = re.compile(r"\\[bf]")
"""Escapes that no value has: it is a path."""
_ANY = re.compile(r"\[([A-Za-z_\\ ]+?)\\?[_ ]([0-9]{1,9})\\?\]")


def placeholders_like(text: str) -> set[str]:
    """The placeholders that something in a text looks like, however it is written: such are given to nobody."""
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
        """The text with the values back. `escaped`: it is JSON, whose strings take them escaped. In any other text a string of JSON does,
        as far as what stands before it tells: in this text, and in `before`, which reads on."""
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
        """How many characters at the end of a text could still become a placeholder of this request, when more comes."""
        begun = _BEGUN.search(text)
        if begun is None or not begun[0]:
            return 0
        start = _plain(begun[0])
        return len(begun[0]) if any(place.startswith(start) for place in self._found) else 0


class PlaceholderStream:
    """A text that comes in pieces: each goes on with its values, but for as much of its end as could still become a placeholder.

    Args:
        placeholders: of the request.
        escaped: whether the text is JSON; None: its first signs tell.
    """

    def __init__(self, placeholders: Placeholders, escaped: bool | None = False) -> None:
        self._placeholders, self._escaped, self._quotes = placeholders, escaped, JsonQuotes()
        self._begun = ""
        self.kept = ""

    def take(self, piece: str) -> str:
        """Take what can go on now."""
        if self._escaped is None:
            self._begun = (self._begun + piece).lstrip()
            if len(self._begun) > _MOST_BEGUN or not _UNTOLD.match(self._begun):
                self._escaped, self._begun = _JSON.match(self._begun) is not None, ""
        text = self.kept + piece
        held = self._placeholders.held(text)
        self.kept = text[len(text) - held :]
        return self._placeholders.restored(text[: len(text) - held], bool(self._escaped), self._quotes)

    def rest(self) -> str:
        """Take what was held back, when no more comes."""
        rest, self.kept = self.kept, ""
        return self._placeholders.restored(rest, bool(self._escaped), self._quotes)


def _escaped(value: str) -> str:
    """A value as a string of JSON takes it. One that stood in such a string, in a text that was not JSON as a whole, stands as it stood."""
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
