"""What says what a text of a request is: the name of the field that it stands in, and what stands beside it.

A security code is three digits; that they are one says the name before them, and in JSON that is the field's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from smidgen.stats import field_names

_DIGITS, _LONG_NUMBER, _LONG_TEXT, _MOST = 13, 30, 200, 8
_NAMING = ("name", "key", "field", "label")


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of a text.

    Attributes:
        name: of its field; empty where it stands in none.
        above: of the field that this one stands in.
        beside: short texts with as many digits as a card's number has, in other fields of the same object, or of one around it.
        inside: the same of the fields of the object that this is, each with its name.
    """

    name: str = ""
    above: str = ""
    beside: tuple[str, ...] = ()
    inside: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> str:
        """The names, as words with blanks between them."""
        return field_names.words(self.above, self.name)

    def within(self, value: Mapping[str, Any], name: str) -> Label:
        """Of a field of an object that has this label. In `{"name": "cvv", "value": "123"}` the value has the other field's name."""
        naming = (value.get(word) for word in _NAMING) if name == "value" else ()
        called = next((found for found in naming if isinstance(found, str) and found), name)
        beside = (*self.beside, *(text for field, text in self.inside if field != name))
        return Label(called, self.name, beside[-_MOST:])

    def by(self, value: Mapping[str, Any]) -> Label:
        """The same of an object, with what its fields say of one another."""
        texts = ((name, _scalar(inner)) for name, inner in value.items())
        found = tuple((name, text) for name, text in texts if sum(map(str.isdigit, text)) >= _DIGITS)
        return replace(self, inside=found[:_MOST]) if found or self.inside else self


def _scalar(value: Any) -> str:
    """A short text or a whole number as a text; else an empty one."""
    if isinstance(value, str):
        return value if len(value) <= _LONG_TEXT else ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_LONG_NUMBER else ""
