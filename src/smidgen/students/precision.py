"""The precision that this machine teaches in: what its processor says that it has, and then what it is faster with.

That a processor has instructions for bf16 does not say that products in it are fast. An EPYC with AVX512-BF16 multiplies bf16 4.5 times as
fast as f32; a Xeon whose AMX is masked from a virtual machine, and that has AVX512-BF16 as well, half as fast. So both are tried.
"""

from __future__ import annotations

import functools
import time

import torch

from smidgen.machine.processor import processor

GAIN = 1.1
"""How much faster bf16 must be, for it is the coarser one."""
_SHAPE = (256, 576, 1536)
"""Of the products that are tried: rows, inputs and outputs of a small model's layer."""
_TRIES = 7


@functools.cache
def best_dtype() -> torch.dtype:
    """bf16 where the processor has instructions for it and multiplies it faster than f32, else f32. Tried once in a process, in some
    hundredths of a second."""
    if not processor().bf16:
        return torch.float32
    return chosen(*product_seconds(torch.bfloat16, torch.float32))


def chosen(bf16: float, f32: float) -> torch.dtype:
    """By the seconds that the same product takes in both."""
    return torch.bfloat16 if bf16 * GAIN <= f32 else torch.float32


def product_seconds(*dtypes: torch.dtype) -> list[float]:
    """The shortest time of a product in each precision, in seconds; tried in turns, so that all have the same of what else is going on."""
    rows, inputs, outputs = _SHAPE
    pairs = [(torch.ones(rows, inputs, dtype=dtype), torch.ones(outputs, inputs, dtype=dtype)) for dtype in dtypes]
    took: list[list[float]] = [[] for _ in dtypes]
    for _ in range(_TRIES):
        for number, (left, right) in enumerate(pairs):
            began = time.perf_counter()
            torch.mm(left, right.T)
            took[number].append(time.perf_counter() - began)
    return [min(times) for times in took]
