"""4 bits a number and a scale for every 32: 4.5 bits in total. llama.cpp has its fastest kernels for this layout."""

from __future__ import annotations

from smidgen.compress.gguf_method import GgufMethod
from smidgen.gguf.quantisation import Q4_0

part = GgufMethod(
    "q4-0", Q4_0, 2, "Matrices in 4 bits and a scale for every 32 numbers; the smallest and, on most processors, the fastest."
)
