"""Objects with fields as pairs of a field and its value, and what two of them have in common. A field without a value is no pair.

Texts are compared without the blanks around them, their case kept; numbers by value (2 is 2.0); a list counts a pair for each of its
elements, in whatever order, and an element that is an object counts as a whole. Fields of an object in an object are called
`outer.inner`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

Filled = Mapping[str, Any] | None
"""An object with its values; None where there is none, which is an object without any."""

Pairs = Counter[tuple[str, Hashable]]
"""Pairs of a field's path and a value that can be compared, with how often each is there."""


def field_pairs(filled: Filled) -> Pairs:
    """The pairs of an object."""
    return Counter(_pairs(filled or {}, ""))


def equal_fields(one: Filled, other: Filled) -> bool:
    """Whether two objects have the same pairs. None is equal to None alone."""
    return (one is None) == (other is None) and field_pairs(one) == field_pairs(other)


def fields_f1(gold: Filled, got: Filled) -> float:
    """F1 of one row; 1 where nothing is wanted and nothing is given."""
    a, b = field_pairs(gold), field_pairs(got)
    both = a.total() + b.total()
    return 2 * count_shared(a, b) / both if both else float(equal_fields(gold, got))


def values_by_path(filled: Filled) -> dict[str, list[Any]]:
    """The values of each field by its path, as they stand in the object; fields without a value are left out."""
    found: dict[str, list[Any]] = {}
    for path, value in _values(filled or {}, ""):
        found.setdefault(path, []).append(value)
    return found


def schema_paths(schema: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema that holds values by its path, with its part of the schema, in order. A list is one field."""
    for name, node in schema["properties"].items():
        if "properties" in node:
            yield from schema_paths(node, f"{before}{name}.")
        else:
            yield f"{before}{name}", node


def count_shared(one: Pairs, other: Pairs) -> int:
    """How many pairs two objects have in common."""
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
    """A value that equals another where the two count as the same. True is not 1."""
    if isinstance(value, bool):
        return "truth", value
    if isinstance(value, str):
        return "text", value.strip()
    if isinstance(value, Mapping):
        return "object", frozenset(Counter(_pairs(value, "")).items())
    if isinstance(value, list | tuple):
        return "list", frozenset(Counter(map(_key, value)).items())
    return "number", value
