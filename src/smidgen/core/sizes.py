"""How many bytes tensors take in a form, known before there is a model to weigh."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

Stored: TypeAlias = Callable[[Sequence[int], bool], int]
"""Bytes of a decoder's tensor of this shape, norms and biases included; whether it is a table of token vectors, or the output layer."""


@runtime_checkable
class Foretelling(Protocol):
    """A compressor that knows how large its files will be: what a compressor may be able to do beyond `Compressor`. `bits` are those of a
    number in a matrix, its share of a scale not counted."""

    bits: int

    def stored(self, shape: Sequence[int], table: bool) -> int:
        """See `Stored`."""
        ...


def whole(shape: Sequence[int], table: bool) -> int:
    """In 16 bits, as a decoder is exported; norms and biases in 32. See `Stored`."""
    return math.prod(shape) * (2 if len(shape) > 1 else 4)
