"""How a process holds its memory: what files are read into goes back to the system, what answers are computed in is kept.

Of glibc; elsewhere nothing is changed. A block that is larger than a bound is asked of the system and given back when it is freed. glibc
moves that bound up to the largest block it has seen, and what an adapter was read into then stays, in pieces that nothing else fits: 4.8 MB
of each of twenty. So while a model is loaded the bound stays low. Afterwards it is high: llama.cpp makes its graphs anew whenever the
adapter changes, with room for every adapter that is loaded, and 22 MB were given back and asked for each time where that were twenty. What
is kept so goes back when the process rests. The server's own process, which sets no bounds, gives back what a champion held when it is
gone.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping

_NAME, _READING = "MALLOC_MMAP_THRESHOLD_", "1048576"
REST_SECONDS = 2.0
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of `mallopt`."""
_KEPT = 32 * 1024 * 1024
"""The most that glibc takes for a bound."""


def reading(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment of a process that will load a model; nothing where it says itself how memory is held."""
    return {} if _NAME in environment else {_NAME: _READING}


def keep() -> bool:
    """From now on keep what is freed for what comes next, in a process that was started with `reading`. Whether it is so."""
    if os.environ.get(_NAME) != _READING or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(mallopt(option, _KEPT) == 1 for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))


class Rest:
    """Gives what was kept back once nothing was done for a while."""

    def __init__(self, give: Callable[[], object], sleep: Callable[[float], object] = time.sleep) -> None:
        self._give, self._sleep = give, sleep
        self._worked = threading.Event()
        threading.Thread(target=self._watch, name="rest", daemon=True).start()

    def worked(self) -> None:
        """Something was done just now."""
        self._worked.set()

    def _watch(self) -> None:
        while True:
            self._worked.wait()
            while self._worked.is_set():
                self._worked.clear()
                self._sleep(REST_SECONDS)
            self._give()


def give() -> bool:
    """Give what is free back to the system. Whether anything could be."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    return trim is not None and trim(0) == 1
