"""One thread a core, each computing its share of every batch."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


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
