"""How training uses the processor: one thread a core, and the precision that it is fastest in.

That a processor has instructions for bf16 does not say that products in it are fast. An EPYC with AVX512-BF16 multiplies bf16 4.5 times as
fast as f32; a Xeon whose AMX is masked from a virtual machine, and that has AVX512-BF16 as well, half as fast. So both are tried.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from smidgen.machine.processor import processor

# Threads.


class Workers:
    """One thread per core, each computing without OpenMP.

    Splitting each *operation* over the cores (what torch does) ends in a barrier
    some 2,000 times a step, and whatever else runs on the machine stalls them all.
    Splitting each *batch* takes four barriers a step, and the many operations
    too small for OpenMP run on all cores too.
    """

    def __init__(self, count: int, own_threads: int = 1) -> None:
        """`own_threads` is how many threads a worker's torch operations use: 1, but where a single worker has all the cores."""
        self.count = count
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        # Where some cores stay free, others may count on them: two that teach with one thread each would meet on the first core.
        pinned = cores if count == len(cores) and own_threads == 1 else []
        self._pools = [ThreadPoolExecutor(1, initializer=self._start, initargs=(pinned[i : i + 1], own_threads)) for i in range(count)]

    @staticmethod
    def _start(core: list[int], own_threads: int) -> None:
        if core:
            os.sched_setaffinity(0, core)  # of this thread alone
        torch.set_num_threads(own_threads)

    def map(self, work: Callable[[int], Any]) -> list[Any]:
        """`work(i)` on each worker; their results in order."""
        futures = [p.submit(work, i) for i, p in enumerate(self._pools)]
        return [f.result() for f in futures]

    def close(self) -> None:
        """End the threads."""
        for p in self._pools:
            p.shutdown()


def shares(size: int, count: int) -> list[tuple[int, int]]:
    """Cut `size` elements into `count` stretches, at multiples of a cache line."""
    edges = [size * i // count // 64 * 64 for i in range(count)] + [size]
    return list(itertools.pairwise(edges))


# Precision.

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
    return faster_dtype(*product_seconds(torch.bfloat16, torch.float32))


def faster_dtype(bf16: float, f32: float) -> torch.dtype:
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
