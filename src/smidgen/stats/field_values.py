"""Compare objects as pairs of a field and its value. A field without a value gives no pair.

Texts are compared without surrounding blanks, but with case; numbers by value (2 equals 2.0). A list gives one pair per element, in any
order, and an element that is an object counts as a whole. Fields of a nested object are called `outer.inner`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

Filled = Mapping[str, Any] | None
"""An object with its values. None: no object, which has no pairs."""

Pairs = Counter[tuple[str, Hashable]]
"""Pairs of a field's path and a comparable value, with their counts."""


def field_pairs(filled: Filled) -> Pairs:
    """Return the pairs of an object."""
    return Counter(_pairs(filled or {}, ""))


def equal_fields(one: Filled, other: Filled) -> bool:
    """Return True if two objects have the same pairs. None equals only None."""
    return (one is None) == (other is None) and field_pairs(one) == field_pairs(other)


def fields_f1(gold: Filled, got: Filled) -> float:
    """Return F1 of one row; 1 if nothing is wanted and nothing is given."""
    a, b = field_pairs(gold), field_pairs(got)
    both = a.total() + b.total()
    return 2 * count_shared(a, b) / both if both else float(equal_fields(gold, got))


def values_by_path(filled: Filled) -> dict[str, list[Any]]:
    """Return the values of each field by its path, unchanged. Fields without a value are left out."""
    found: dict[str, list[Any]] = {}
    for path, value in _values(filled or {}, ""):
        found.setdefault(path, []).append(value)
    return found


def schema_paths(schema: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field of a schema that holds values: its path and its part of the schema, in order. A list is one field."""
    for name, node in schema["properties"].items():
        if "properties" in node:
            yield from schema_paths(node, f"{before}{name}.")
        else:
            yield f"{before}{name}", node


def count_shared(one: Pairs, other: Pairs) -> int:
    """Count the pairs that two objects share."""
    return (one & other).total()


def _pairs(filled: Mapping[str, Any], before: str) -> Iterator[tuple[str, Hashable]]:
    return ((path, _key(value)) for path, value in _values(filled, before))


def _values(filled: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in filled.items():
        if isinstance(value, Mapping):
            yield from _values(value, f"{before}{name}.")
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is not None and not (isinstance(one, str) and not one.strip()):
                yield f"{before}{name}", one


def _key(value: Any) -> Hashable:
    """Return a key that is equal for values that count as equal. True does not equal 1."""
    if isinstance(value, bool):
        return "truth", value
    if isinstance(value, str):
        return "text", value.strip()
    if isinstance(value, Mapping):
        return "object", frozenset(Counter(_pairs(value, "")).items())
    if isinstance(value, list | tuple):
        return "list", frozenset(Counter(map(_key, value)).items())
    return "number", value
