"""4 bits a number, a scale and a floor for every 32: 5 bits in total."""

from __future__ import annotations

from smidgen.compress.gguf_method import GgufMethod
from smidgen.gguf.quantisation import Q4_1

part = GgufMethod("q4-1", Q4_1, 3, "Matrices in 4 bits, a scale and a floor for every 32 numbers.")
