"""A row of the user's data, and the texts in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

_Item = TypeVar("_Item")

Text: TypeAlias = str | tuple[str, str]
"""A model's input: one text, or a pair (question and passage, premise and hypothesis)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One example.

    Attributes:
        input: the text, or a pair of texts.
        output: the wanted output, already parsed by the task (a label, a list of labels, ...); None if unknown.
        number: the row's number in its file, counted from 1 over data rows (a header is not counted).
        weight: the row's weight in training; 1 is normal.
        shares: the probabilities of several outputs: (output, share) pairs, the first for `output`; shares add up to 1. Empty: `output`
            alone.
        taught: a larger model gave its output: a student learns from it, and nothing is measured on it.
    """

    input: Text
    output: Any = None
    number: int = 0
    weight: float = 1.0
    shares: tuple[tuple[str, float], ...] = ()
    taught: bool = False


class RowCells(dict[str, Any]):
    """The cells of several columns by name, from a format that has texts only: the reader must recognise numbers."""


def joined(text: Text) -> str:
    """A text, or a pair, as one string: for hashing, for showing, for methods without pairs."""
    return text if isinstance(text, str) else f"{text[0]}\n{text[1]}"


def with_inputs(raw: Mapping[str, Any], texts: Sequence[Text]) -> Mapping[str, Any]:
    """A raw output of a model with its inputs added as `inputs`, because a task judges a written text by its input."""
    return {**raw, "inputs": [joined(text) for text in texts]}


def in_parts(items: Sequence[_Item], most: int) -> Iterator[Sequence[_Item]]:
    """Yield the items in order, at most `most` at a time."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


def evenly(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """At most `most` of the items, evenly spaced, in their order; all of them if there are no more."""
    count = min(most, len(items))
    return [items[place * len(items) // count] for place in range(count)]
