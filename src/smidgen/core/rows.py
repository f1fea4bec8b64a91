"""A row of the user's data, and the texts in it."""

from __future__ import annotations

from collections.abc import Sequence
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
        output: what the model should say, already parsed by the task (a label, a list of labels, ...); None where unknown.
        number: the row's number in its file, counted from 1 over data rows (a header is not counted).
        weight: how much the row counts in training; 1 is normal.
        shares: how belief is shared out among outputs, where more than one is believed in: (output, share) pairs, of which the first is
            `output`'s; shares add up to 1. Empty: the output alone.
    """

    input: Text
    output: Any = None
    number: int = 0
    weight: float = 1.0
    shares: tuple[tuple[str, float], ...] = ()


class RowCells(dict[str, Any]):
    """The cells of several columns by their names, out of a file that knows texts only: what is a number in it has to be seen."""


def joined(text: Text) -> str:
    """A text, or a pair, as one string: for hashing, for showing, for methods that know no pairs."""
    return text if isinstance(text, str) else f"{text[0]}\n{text[1]}"


def evenly(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """At most `most` of the items, evenly spread and in their order; all of them where there are no more."""
    count = min(most, len(items))
    return [items[place * len(items) // count] for place in range(count)]
