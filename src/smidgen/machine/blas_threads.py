"""The thread pool behind numpy's matrix products, kept off the cores that a model computes on.

OpenBLAS splits a product of more than some ten thousand multiplications over threads of its own, which then spin for milliseconds in
wait of the next. Small products gain nothing from it, and whatever else wants those cores loses them.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_inside = 0
_before: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, products of numpy run on the calling thread alone. Costs two microseconds; may be nested, and entered by several threads
    at once: the numbers of threads that were set before come back when the last has left."""
    global _inside, _before
    pools = _pools()
    with _lock:
        if not _inside:
            _before = [pool.num_threads for pool in pools]
            for pool in pools:
                pool.set_num_threads(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                for pool, threads in zip(pools, _before, strict=True):
                    pool.set_num_threads(threads)


@functools.cache
def _pools() -> tuple[Any, ...]:
    """The BLAS libraries that numpy has loaded into this process."""
    import numpy as np  # noqa: F401 its library is found only once it is loaded
    from threadpoolctl import ThreadpoolController

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)
