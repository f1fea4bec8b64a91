"""Memory of an engine's process: given back while files are read, kept afterwards."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from smidgen.engines import heap

NAME = "MALLOC_MMAP_THRESHOLD_"
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="how memory is held is glibc's")
BLOCKS = """
import ctypes, resource
from smidgen.engines import heap
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes, library.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def faults():
    # Pages asked of the system by a block of 8 MB that is used and freed ten times.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        block = library.malloc(8 << 20)
        ctypes.memset(block, 1, 8 << 20)
        library.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), heap.keep(), faults())
"""


def run(**environment: str) -> list[str]:
    plain = {name: value for name, value in os.environ.items() if name != NAME}
    return subprocess.run(
        [sys.executable, "-c", BLOCKS], env=plain | environment, capture_output=True, text=True, check=True
    ).stdout.split()


@glibc
def test_blocks_go_back_while_files_are_read_and_are_kept_afterwards() -> None:
    reading, kept, computing = run(**heap.reading({}))
    page = os.sysconf("SC_PAGE_SIZE")
    assert kept == "True"
    assert int(reading) >= 10 * (8 << 20) // page, "each time all of its pages"
    assert int(computing) <= 2 * (8 << 20) // page, "the first time alone"


@glibc
@pytest.mark.parametrize("own", ["65536", "33554432"])
def test_who_says_how_memory_is_held_is_not_overruled(own: str) -> None:
    assert heap.reading({NAME: own}) == {}
    assert run(**{NAME: own})[1] == "False"


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, heap.reading({})[NAME])
    monkeypatch.setattr(sys, "platform", "darwin")
    assert heap.keep() is False
