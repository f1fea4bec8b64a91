"""Waits for what another thread or process is about to do."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(holds: Callable[[], object], seconds: float = 120.0) -> float:
    """Wait until something holds; how long that took. A busy machine is given time: only what never comes fails."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it did not come"
        time.sleep(0.005)
    return time.monotonic() - began
