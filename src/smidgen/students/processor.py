"""The processor in training: one thread per core, and the fastest precision.

A processor with instructions for bf16 need not be fast at it. An EPYC with AVX512-BF16 multiplies bf16 4.5 times as fast as f32; a Xeon
with AVX512-BF16 whose AMX is hidden from a virtual machine, half as fast. So both precisions are timed.
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


class Workers:
    """One thread per core, each computing without OpenMP.

    Torch splits each *operation* over the cores, with some 2,000 barriers per step, and any other work on the machine stalls them all.
    Splitting each *batch* takes four barriers per step, and operations too small for OpenMP run on all cores too.
    """

    def __init__(self, count: int, own_threads: int = 1) -> None:
        """`own_threads`: threads of a worker's torch operations; 1, except for a single worker with all cores."""
        self.count = count
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        # Threads are pinned only if they use all cores: else two runs of one thread each would share the first core.
        pinned = cores if count == len(cores) and own_threads == 1 else []
        self._pools = [ThreadPoolExecutor(1, initializer=self._start, initargs=(pinned[i : i + 1], own_threads)) for i in range(count)]

    @staticmethod
    def _start(core: list[int], own_threads: int) -> None:
        if core:
            os.sched_setaffinity(0, core)  # of this thread alone
        torch.set_num_threads(own_threads)

    def map(self, work: Callable[[int], Any]) -> list[Any]:
        """Run `work(i)` on each worker; returns the results in order."""
        futures = [p.submit(work, i) for i, p in enumerate(self._pools)]
        return [f.result() for f in futures]

    def close(self) -> None:
        """End the threads."""
        for p in self._pools:
            p.shutdown()


def shares(size: int, count: int) -> list[tuple[int, int]]:
    """Cut `size` elements into `count` ranges, at multiples of a cache line."""
    edges = [size * i // count // 64 * 64 for i in range(count)] + [size]
    return list(itertools.pairwise(edges))


GAIN = 1.1
"""The least speed-up of bf16 over f32 for which bf16 is chosen, because it is less precise."""
_SHAPE = (256, 576, 1536)
"""Rows, inputs and outputs of the timed products: a small model's layer."""
_TRIES = 7


@functools.cache
def best_dtype() -> torch.dtype:
    """bf16 if the processor has instructions for it and multiplies it faster than f32, else f32. Timed once per process, in some
    hundredths of a second."""
    if not processor().bf16:
        return torch.float32
    return faster_dtype(*product_seconds(torch.bfloat16, torch.float32))


def faster_dtype(bf16: float, f32: float) -> torch.dtype:
    """The precision to use, given the seconds of one product in each."""
    return torch.bfloat16 if bf16 * GAIN <= f32 else torch.float32


def product_seconds(*dtypes: torch.dtype) -> list[float]:
    """The shortest time of a product in each precision, in seconds; timed in turns, so that other work on the machine affects all alike."""
    rows, inputs, outputs = _SHAPE
    pairs = [(torch.ones(rows, inputs, dtype=dtype), torch.ones(outputs, inputs, dtype=dtype)) for dtype in dtypes]
    took: list[list[float]] = [[] for _ in dtypes]
    for _ in range(_TRIES):
        for number, (left, right) in enumerate(pairs):
            began = time.perf_counter()
            torch.mm(left, right.T)
            took[number].append(time.perf_counter() - began)
    return [min(times) for times in took]
