"""The check that a text states only numbers of a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from smidgen.text import numbers


def strange_numbers(text: str, known: Any) -> list[str]:
    """The numbers of a text that do not occur in `known`, as the text writes them, in its order.

    `known` is any JSON value, or the `numbers_in` it. A number occurs in it as a value, with either sign, or in a text: `17:40` holds 17
    and 40. Nothing is rounded.
    """
    there = known if isinstance(known, frozenset) else numbers_in(known)
    return [piece for piece, value in _read(text) if value not in there]


def missing_numbers(text: str, required: str) -> list[str]:
    """The numbers of the text `required` that do not occur in `text`."""
    return strange_numbers(required, text)


def numbers_in(known: Any) -> frozenset[float]:
    """All numbers of a JSON value, without their signs: for checking many texts against one result."""
    return frozenset(_numbers_in(known))


def _numbers_in(known: Any) -> Iterator[float]:
    if isinstance(known, bool) or known is None:
        return
    if isinstance(known, int | float):
        yield abs(known)
    elif isinstance(known, str):
        yield from (value for _, value in _read(known))
    elif isinstance(known, Mapping):
        for name, value in known.items():
            yield from _numbers_in(name)
            yield from _numbers_in(value)
    elif isinstance(known, Sequence):
        for value in known:
            yield from _numbers_in(value)


def _read(text: str) -> Iterator[tuple[str, float]]:
    for start, end in numbers.find(text):
        value = numbers.read(text[start:end])
        if value is not None:
            yield text[start:end], abs(value)
