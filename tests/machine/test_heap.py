"""Memory of an engine's process: given back while files are read, kept afterwards."""

from __future__ import annotations

import os
import platform
import queue
import subprocess
import sys

import pytest

from smidgen.machine import memory

NAME = "MALLOC_MMAP_THRESHOLD_"
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="how memory is held is glibc's")
BLOCKS = """
import ctypes, resource
from smidgen.machine import memory
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

print(faults(), memory.keep_freed(), faults())
"""


def run(**environment: str) -> list[str]:
    plain = {name: value for name, value in os.environ.items() if name != NAME}
    return subprocess.run(
        [sys.executable, "-c", BLOCKS], env=plain | environment, capture_output=True, text=True, check=True
    ).stdout.split()


@glibc
def test_blocks_go_back_while_files_are_read_and_are_kept_afterwards() -> None:
    reading, kept, computing = run(**memory.loading_environment({}))
    page = os.sysconf("SC_PAGE_SIZE")
    assert kept == "True"
    assert int(reading) >= 10 * (8 << 20) // page, "each time all of its pages"
    assert int(computing) <= 2 * (8 << 20) // page, "the first time alone"


@glibc
@pytest.mark.parametrize("own", ["65536", "33554432"])
def test_who_says_how_memory_is_held_is_not_overruled(own: str) -> None:
    assert memory.loading_environment({NAME: own}) == {}
    assert run(**{NAME: own})[1] == "False"


def test_what_is_kept_goes_back_at_rest_and_not_before() -> None:
    slept: list[float] = []
    given: queue.Queue[int] = queue.Queue()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) in (1, 2, 4):
            rest.worked()  # meanwhile

    rest = memory.IdleTrim(lambda: given.put(len(slept)), sleep)
    assert not slept, "nothing was done yet"
    rest.worked()
    assert given.get(timeout=30) == 3, "nothing was done in the third while"
    rest.worked()
    assert given.get(timeout=30) == 5
    assert given.empty() and set(slept) == {memory.REST_SECONDS}


@glibc
def test_what_is_free_can_be_given_back() -> None:
    program = """
import ctypes
from smidgen.machine import memory
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes, library.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

memory.keep_freed()
block, last = library.malloc(16 << 20), library.malloc(1 << 16)
ctypes.memset(block, 1, 16 << 20)
library.free(block)
before = resident()
print(memory.trim(), before - resident())
"""
    plain = {name: value for name, value in os.environ.items() if name != NAME} | memory.loading_environment({})
    gave, less = subprocess.run([sys.executable, "-c", program], env=plain, capture_output=True, text=True, check=True).stdout.split()
    assert gave == "True" and int(less) > 12 << 20


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, memory.loading_environment({})[NAME])
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_freed() is False
