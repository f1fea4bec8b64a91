"""Which slot reads for which adapter, where a process holds several.

What a slot has read with one adapter is of no use to another: it must be read anew. llama.cpp gives a request to the slot whose prompt is
most like its own, and prompts of one base are alike whatever the adapter. So requests are given to slots here: to one that read last with
the same adapter, else to the one that has rested longest.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable


class Slots:
    """The slots of a process, for as many requests at a time."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = list(range(count))  # the one that has rested longest first
        self._last: dict[int, Hashable] = {}

    def take(self, adapter: Hashable) -> int:
        """A free slot for a request with this adapter. There must be one: the callers are as many as the slots."""
        with self._lock:
            own = [slot for slot in self._free if self._last.get(slot) == adapter]
            slot = own[-1] if own else self._free[0]
            self._free.remove(slot)
            self._last[slot] = adapter
            return slot

    def give(self, slot: int) -> None:
        """The slot is free again."""
        with self._lock:
            self._free.append(slot)
