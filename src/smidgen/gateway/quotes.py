"""Where a text that is not JSON as a whole is in a string of JSON, in a fenced block or behind `Here it is: `. What stands before tells it,
piece after piece, however the text is cut."""

from __future__ import annotations

import re

_SIGN = re.compile(r'\\[^\n]?|["\n]')
_OPENED = re.compile(r"[{\[]\s*\Z")
"""An object or a list begins: what has a quote next is one of its strings."""
_NAMED = re.compile(r"\s*:\s*")
"""Between the name of a field and its value."""
_BETWEEN = re.compile(r"(?=[^,:]*[,:])(?:[\s,:\[\]{}\d.eE+-]|true|false|null)*")
"""Between a string of JSON and the next one."""
_LONGEST = 200


class Quotes:
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
        """What comes next."""
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
