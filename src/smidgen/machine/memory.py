"""Memory: this process's current and peak memory, and the machine's memory. In MB of 10^6 bytes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def resident_mb(pid: int | None = None) -> float | None:
    """Resident memory of a process now, of this one without a `pid`; None if there is no such process, or it may not be looked at."""
    import psutil

    try:
        return float(psutil.Process(pid).memory_info().rss / 1e6)
    except psutil.Error:
        return None


def peak_mb() -> float | None:
    """This process's peak resident memory; None if the system does not say."""
    with contextlib.suppress(OSError):  # Linux: the resource's maximum is also that of the program that started this one
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"^VmHWM:\s*(\d+)", status, re.MULTILINE):
            return int(found[1]) * 1024 / 1e6
    return _most_mb("RUSAGE_SELF")


def ended_children_peak_mb() -> float | None:
    """The peak resident memory of any child process that has ended; 0 without one; None if the system does not say."""
    return _most_mb("RUSAGE_CHILDREN")


def _most_mb(who: str) -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    used = resource.getrusage(getattr(resource, who)).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used * 1024 / 1e6


def total_mb() -> float:
    """Memory of the machine."""
    import psutil

    return float(psutil.virtual_memory().total / 1e6)


def available_mb() -> float:
    """Memory that a new process could have now."""
    import psutil

    return float(psutil.virtual_memory().available / 1e6)


_VARIABLE, _LOADING = "MALLOC_MMAP_THRESHOLD_", "1048576"
REST_SECONDS = 2.0
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Option numbers of `mallopt`."""
_KEPT = 32 * 1024 * 1024
"""The largest value that glibc accepts for these options."""


def loading_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variable to add to the environment of a process that will load a model; empty if it is set already."""
    return {} if _VARIABLE in environment else {_VARIABLE: _LOADING}


def keep_freed() -> bool:
    """From now on keep freed memory for reuse, in a process that was started with `loading_environment`. Returns whether it worked."""
    if os.environ.get(_VARIABLE) != _LOADING or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(mallopt(option, _KEPT) == 1 for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))


class IdleTrim:
    """Returns freed memory to the system after some idle seconds."""

    def __init__(self, give: Callable[[], object], sleep: Callable[[float], object] = time.sleep) -> None:
        self._give, self._sleep = give, sleep
        self._worked = threading.Event()
        threading.Thread(target=self._watch, name="rest", daemon=True).start()

    def worked(self) -> None:
        """Note that work was done just now."""
        self._worked.set()

    def _watch(self) -> None:
        while True:
            self._worked.wait()
            while self._worked.is_set():
                self._worked.clear()
                self._sleep(REST_SECONDS)
            self._give()


def trim() -> bool:
    """Return free memory to the system; True if there was any."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    return malloc_trim is not None and malloc_trim(0) == 1
