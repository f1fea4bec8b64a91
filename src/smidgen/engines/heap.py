"""How an engine's process holds its memory: what files are read into goes back to the system, what answers are computed in is kept.

Of glibc; elsewhere nothing is changed. A block that is larger than a bound is asked of the system and given back when it is freed. glibc
moves that bound up to the largest block it has seen, and what an adapter was read into then stays, in pieces that nothing else fits: 4.8 MB
of each of twenty. So while a model is loaded the bound stays low. Afterwards it is high: llama.cpp makes its graphs anew whenever the
adapter changes, and 11 MB were given back and asked for each time.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping

_NAME, _READING = "MALLOC_MMAP_THRESHOLD_", "1048576"
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
