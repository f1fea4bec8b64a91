"""8 bits a number: half the size of 16 bits, with almost no loss."""

from __future__ import annotations

from smidgen.compress.gguf_method import GgufMethod
from smidgen.gguf.quantisation import Q8_0

part = GgufMethod("q8-0", Q8_0, 7, "Matrices in 8 bits and a scale for every 32 numbers; nearly the original, at half its size.")
