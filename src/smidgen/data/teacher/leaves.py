"""The texts in a value that JSON can hold: read, and changed one by one. JSON is never changed as a text of its own, where a line break is
a backslash and a letter that sticks to the next word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from smidgen.core.errors import RedactionError


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
