"""How an engine keeps the keys and values of the tokens that it has read: in 16 bits where there is room, else in 8."""

from __future__ import annotations

from typing import Literal

from smidgen.students.decoder_shape import Shape

ROOMY_MB = 256.0
"""The most that keys and values in 16 bits may take, of all slots together. In 8 bits it is half, and each token costs more to compute."""
_PACKED = 32
"""llama.cpp packs keys and values by so many numbers."""


def megabytes(shape: Shape, tokens: int) -> float:
    """What the keys and values of so many tokens take in 16 bits, in MB of 10^6 bytes."""
    return 2 * 2 * shape.layers * shape.kv_heads * shape.head * tokens / 1e6


def kept_as(shape: Shape, tokens: int, *, frugal: bool = False) -> Literal["f16", "q8_0"]:
    """How to keep them for `tokens`, those of all slots together; `frugal`: in 8 bits wherever they can be."""
    roomy = not frugal and megabytes(shape, tokens) <= ROOMY_MB
    return "f16" if shape.head % _PACKED or roomy else "q8_0"
