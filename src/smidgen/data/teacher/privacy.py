"""What may leave this machine: texts without personal data. What cannot be made safe does not leave.

What has a form is found by pattern here. Names and addresses have none: a model finds them, and `find` is how it is asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smidgen.core.errors import RedactionError
from smidgen.data import identifiers
from smidgen.data.encoding import ESCAPED

MOST_CHARACTERS = 1_000_000
"""Characters of a text that is read. A longer one is refused: nothing of it would be left unread in silence."""

HIDDEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Characters that are not seen: between two digits they hide a number from a pattern, and from no reader."""

KINDS: Mapping[str, str] = {
    "e-mail": "email",
    "IBAN": "iban",
    "French social security number": "id",
    "payment card": "card",
    "US social security number": "id",
    "UK national insurance number": "id",
    "Spanish DNI": "id",
    "IP address": "ip",
    "telephone number": "phone",
}
"""What the redaction model calls the kinds of `identifiers`: whoever finds a piece, it has the same name."""

_LOOSE = frozenset({"telephone number", "IP address"})
"""Patterns that check nothing: where they meet what a model found, the model says what it is."""
_LONG_NUMBER = re.compile(r"(?<![\w.])\d(?:[ ./-]?\d){8,}(?![\w])")
"""Nine digits and more are an account, a file or an identity, of whatever country's form."""
_PLACE = re.compile(r"\[([A-Z_]+)_(\d+)\]")

Find = Callable[[str], Iterable[tuple[str, int, int]]]
"""What a model finds in a text: the kind, the start and the end (exclusive) of each piece of personal data."""


def nothing(text: str) -> Iterable[tuple[str, int, int]]:
    """Finds nothing: for texts that are redacted by pattern alone."""
    return ()


def readable(text: str) -> None:
    """Raise RedactionError for a text that cannot be read whole: it is too long, or holds half a character."""
    size = f"{len(text):,} characters"
    if len(text) > MOST_CHARACTERS:
        raise RedactionError("a text is too long to be read whole", value=size, todo=f"Cut it: {MOST_CHARACTERS:,} are the most.")
    if not text.isascii() and ESCAPED.search(text):
        raise RedactionError("a text holds half a character", value=size, todo="Read the file in its own encoding.")


@dataclass
class Redactor:
    """Takes personal data out of the texts of one conversation, and puts it back into what is answered.

    The same value gets the same stand-in (`[EMAIL_1]`) in all of them, so that the reader can tell who is who.

    Attributes:
        find: finds what has no form, or other than the patterns do.
        found: stand-ins, and the values that they stand for.
        counts: how many pieces of each kind were taken out.
    """

    find: Find = nothing
    found: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _places: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _numbers: Counter[str] = field(default_factory=Counter, init=False, repr=False)
    _written: set[str] = field(default_factory=set, init=False, repr=False)

    def spans(self, text: str) -> list[dict[str, Any]]:
        """What is personal in a text, in its order: `start`, `end` (exclusive) and `label`, the kind. None overlap.

        Raises RedactionError for a text that is too long, or holds half a character.
        """
        return [{"start": start, "end": end, "label": kind} for start, end, kind in self._pieces(text)]

    def mask(self, text: str) -> str:
        """The text with a stand-in for each piece of personal data.

        Raises RedactionError as `spans` does, and where personal data is left: written in a way that patterns see only once the text is
        normalised, with digits of another script or invisible characters in it.
        """
        safe = self._replaced(text)
        # A line break in place of a stand-in: what stands before it and after it is not read as one number.
        rest = HIDDEN.sub("", unicodedata.normalize("NFKC", _PLACE.sub("\n", safe)))
        rest = "".join(str(unicodedata.digit(letter, letter)) for letter in rest)
        kinds = sorted({KINDS[kind] for kind, _, _ in identifiers.spans(rest)})
        if kinds or _LONG_NUMBER.search(rest):
            raise RedactionError(
                "personal data is left in a text, seen only once it is normalised",
                value=", ".join(kinds) or "a long number",
                todo="Take the invisible characters out of it, and write digits and letters plainly.",
            )
        return safe

    def unmask(self, text: str) -> str:
        """The text with the values back in place of their stand-ins."""
        return _PLACE.sub(lambda match: self.found.get(match[0], match[0]), text)

    def _replaced(self, text: str) -> str:
        pieces, at = [], 0
        found = self._pieces(text)
        self._written.update(match[0] for match in _PLACE.finditer(text))
        for start, end, kind in found:
            pieces += [text[at:start], self._place(text[start:end], kind)]
            at = end
        self.counts.update(kind for _, _, kind in found)
        return "".join([*pieces, text[at:]])

    def _pieces(self, text: str) -> list[_Piece]:
        """Everything that a pattern or the model finds, surest first where they overlap."""
        readable(text)
        known = list(identifiers.spans(text))
        checked = [(start, end, KINDS[kind]) for kind, start, end in known if kind not in _LOOSE]
        loose = [(start, end, KINDS[kind]) for kind, start, end in known if kind in _LOOSE]
        model = [(start, end, kind) for kind, start, end in self.find(text)]
        long = [(match.start(), match.end(), "number") for match in _LONG_NUMBER.finditer(text)]
        return _merged([*checked, *model, *loose, *long])

    def _place(self, value: str, kind: str) -> str:
        """The stand-in of a value: one that it has, or a new one that no text of the conversation has by itself."""
        if value not in self._places:
            name = re.sub(r"[^A-Z]+", "_", kind.upper()).strip("_") or "OTHER"
            place = ""
            while not place or place in self._written or place in self.found:
                self._numbers[name] += 1
                place = f"[{name}_{self._numbers[name]}]"
            self._places[value] = place
            self.found[place] = value
        return self._places[value]


_Piece = tuple[int, int, str]


def _merged(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Pieces in their order, those that overlap as one: nothing that any of them covers is left over. It is of the kind that was named
    first among those that overlap."""
    ranked = sorted((start, end, rank, kind) for rank, (start, end, kind) in enumerate(pieces) if start < end)
    merged: list[tuple[int, int, int, str]] = []
    for start, end, rank, kind in ranked:
        if merged and start < merged[-1][1]:
            before = merged[-1]
            merged[-1] = (before[0], max(before[1], end), *min((before[2], before[3]), (rank, kind)))
        else:
            merged.append((start, end, rank, kind))
    return [(start, end, kind) for start, end, _, kind in merged]
