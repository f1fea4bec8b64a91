"""The texts in a value that JSON can hold: read, and changed one by one. JSON is never changed as a text of its own, where a line break is
a backslash and a letter that sticks to the next word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from smidgen.core.errors import RedactionError
from smidgen.privacy.redactor import Redactor
from smidgen.text import words

_NUMBER = re.compile(r"-?[0-9]{1,17}(?:\.[0-9]+)?")
_LONG = 8
"""Digits of a number up to which the name of its field may say too much: `tax` is that of somebody, or a sum."""


def leaves(value: Any) -> Iterator[str]:
    """Every text in a value: itself, or those of a list or an object, names of fields with them. A number is read as it is written, one
    with a fraction is not read. Raises RedactionError for bytes."""
    if isinstance(value, bytes):
        raise RedactionError("a cell holds bytes, which cannot be read", value=f"{len(value):,} bytes", todo="Leave the column out.")
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    elif value is not None and not isinstance(value, bool):
        if not isinstance(value, float):
            yield str(value)
        elif value.is_integer():  # an account number, in a column where some row has none
            yield str(int(value))


def changed(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each of its texts changed; what is no text stays what it is where its own is not changed. Raises as `leaves` does."""
    if isinstance(value, dict):
        return {change(str(name)): changed(inner, change) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [changed(inner, change) for inner in value]
    for text in leaves(value):
        other = change(text)
        return value if other == text else other
    return value


def masked(value: Any, redactor: Redactor, name: str = "", above: str = "") -> Any:
    """The value with its personal data taken out of all that is read of it. What a text or a number is the name of its field may say, with
    that of the one `above`: `{"cvv": 737}`; of a number, one with a fraction too. Raises as `leaves` does, and RedactionError for what
    cannot be made safe."""
    if isinstance(value, dict):
        return {redactor.mask(str(key)): masked(inner, redactor, str(key), name) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, redactor, name, above) for inner in value]
    said = words.field_words(above, name)
    if isinstance(value, float) and not value.is_integer():
        other = redactor.named(repr(value), said)
        return value if other == repr(value) else other
    return changed(value, lambda text: _told(text, redactor, said))


def _told(text: str, redactor: Redactor, said: str) -> str:
    """A text with its personal data taken out. One that is a number is looked at as such: a table's cells are texts."""
    short = _NUMBER.fullmatch(text) and ("." in text or sum(map(str.isdigit, text)) <= _LONG)
    if not short:
        return redactor.mask(text, said and f"{said}: ")
    other = redactor.named(text, said)
    return redactor.mask(text) if other == text else other
