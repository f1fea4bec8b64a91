"""Stand-ins in what a large model wrote: the values go back in their place, and never a value that is not meant.

A model may write `[Person_1]` for `[PERSON_1]`, or `[PERSON\\_1]` in Markdown: both are surely ours. All in small letters, with a blank, or
without brackets it could be code or a template of its own, and stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from smidgen.gateway.quotes import Quotes

_NAME = r"([A-Z][A-Za-z]*(?:{0}_[A-Z][A-Za-z]*)*){0}_([0-9]{{1,9}})"
_EXACT = re.compile(rf"\[{_NAME.format('')}\]")
_WRITTEN = re.compile(rf"\\\[{_NAME.format(chr(92) * 2 + '?')}\\\]|\[{_NAME.format(chr(92) * 2 + '?')}\]")
"""In a text that may be Markdown: a sign before a bracket belongs to it only where both have one, else it may be that of a path."""
_BEGUN = re.compile(r"\\?(?:\[(?:[A-Z][A-Za-z_\\0-9]*)?)?\Z")
"""What could become a stand-in when more comes."""
_JSON = re.compile(r"\{|(?:\[\s*)+[{\"]")
"""How a text that is JSON begins: no stand-in does so, and no text with a link or a number in brackets before it."""
_UNTOLD = re.compile(r"(?:\[\s*)*\Z")
"""A beginning that tells nothing yet."""
_MOST_BEGUN = 100
_ODD = re.compile(r"\\[bf]")
"""Escapes that no value has: it is a path."""
_ANY = re.compile(r"\[([A-Za-z_\\ ]+?)\\?[_ ]([0-9]{1,9})\\?\]")


def alike(text: str) -> set[str]:
    """The stand-ins that something in a text looks like, however it is written: such are given to nobody."""
    return {f"[{match[1].replace(chr(92), '').replace(' ', '_').strip('_').upper()}_{int(match[2])}]" for match in _ANY.finditer(text)}


class StandIns:
    """What stands for what in one request.

    Args:
        found: stand-ins such as `[PERSON_1]`, and their values.
    """

    def __init__(self, found: Mapping[str, str]) -> None:
        self._found = dict(found)
        self._escaped = {place: _escaped(value) for place, value in self._found.items()}

    def __bool__(self) -> bool:
        return bool(self._found)

    def restored(self, text: str, escaped: bool = False, before: Quotes | None = None) -> str:
        """The text with the values back. `escaped`: it is JSON, whose strings take them escaped. In any other text a string of JSON does,
        as far as what stands before it tells: in this text, and in `before`, which reads on."""
        if escaped:
            return _EXACT.sub(lambda match: self._escaped.get(_plain(match[0]), match[0]), text)
        if self._escaped == self._found:
            return _WRITTEN.sub(lambda match: self._found.get(_plain(match[0]), match[0]), text)
        quotes = Quotes() if before is None else before
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
        """How many characters at the end of a text could still become a stand-in of this request, when more comes."""
        begun = _BEGUN.search(text)
        if begun is None or not begun[0]:
            return 0
        start = _plain(begun[0])
        return len(begun[0]) if any(place.startswith(start) for place in self._found) else 0


class Flow:
    """A text that comes in pieces: each goes on with its values, but for as much of its end as could still become a stand-in.

    Args:
        stand_ins: of the request.
        escaped: whether the text is JSON; None: its first signs tell.
    """

    def __init__(self, stand_ins: StandIns, escaped: bool | None = False) -> None:
        self._stand_ins, self._escaped, self._quotes = stand_ins, escaped, Quotes()
        self._begun = ""
        self.kept = ""

    def take(self, piece: str) -> str:
        """What can go on now."""
        if self._escaped is None:
            self._begun = (self._begun + piece).lstrip()
            if len(self._begun) > _MOST_BEGUN or not _UNTOLD.match(self._begun):
                self._escaped, self._begun = _JSON.match(self._begun) is not None, ""
        text = self.kept + piece
        held = self._stand_ins.held(text)
        self.kept = text[len(text) - held :]
        return self._stand_ins.restored(text[: len(text) - held], bool(self._escaped), self._quotes)

    def rest(self) -> str:
        """What was held back, where no more comes."""
        rest, self.kept = self.kept, ""
        return self._stand_ins.restored(rest, bool(self._escaped), self._quotes)


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
