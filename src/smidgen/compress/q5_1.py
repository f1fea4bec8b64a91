"""5 bits a number, a scale and a floor for every 32: 6 bits in total."""

from __future__ import annotations

from smidgen.compress.gguf_method import GgufMethod
from smidgen.gguf.quantisation import Q5_1

part = GgufMethod("q5-1", Q5_1, 9, "Matrices in 5 bits, a scale and a floor for every 32 numbers.")
