"""The processor: its name, its cores, and the number formats it is fast at."""

from __future__ import annotations

import functools
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Processor:
    """The machine's processor. `cores`: those that this process may use. `bf16`, `int8`: whether the hardware has matrix or vector
    instructions for the format. `flags`: the names of those instruction sets."""

    name: str
    cores: int
    bf16: bool
    int8: bool
    flags: tuple[str, ...]


@functools.cache
def processor() -> Processor:
    """The processor of this machine."""
    info = _cpuinfo()
    flags = set(info.get("flags", info.get("Features", "")).split())
    name = info.get("model name") or platform.processor() or platform.machine() or "unknown processor"
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    bf16 = flags & {"amx_bf16", "avx512_bf16", "bf16"}
    int8 = flags & {"amx_int8", "avx512_vnni", "avx_vnni", "asimddp", "i8mm"}
    return Processor(name, cores(), bool(bf16), bool(int8) or apple, tuple(sorted(bf16 | int8)))


def cores() -> int:
    """The number of cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def threads(asked: int | None = None) -> int:
    """The number of threads to compute with: as asked, else SMIDGEN_THREADS, else one per core.

    Every pool gets its size from here: two pools that spin on the same cores run ten times slower than one.
    """
    if asked:
        return asked
    given = os.environ.get("SMIDGEN_THREADS", "")
    return int(given) if given.isdigit() and int(given) > 0 else cores()


def _cpuinfo() -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo; empty if there is none."""
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return {}
    entry: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            break
        entry[key.strip()] = value.strip()
    return entry


_lock = threading.Lock()
_inside = 0
_before: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Run numpy's products on the calling thread alone inside the block. Costs two microseconds; may be nested, and entered by several
    threads
    at once: the last one to leave restores the earlier thread counts."""
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
