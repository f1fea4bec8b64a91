"""Models that stay loaded between requests: a few, the least recently used closed first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from smidgen.flows.local_model import Model, load
from smidgen.machine.processor import threads as thread_count


@dataclass(slots=True, eq=False)
class _Entry:
    """A model that is loaded, or is being loaded; `users` are the requests that hold it now."""

    model: Model | None = None
    users: int = 0
    loading: threading.Lock = field(default_factory=threading.Lock)


class OpenModels:
    """Loaded models by folder. Its methods may be called from several threads.

    Args:
        most: models that stay open. One that is in use is never closed, so there are more while more are in use.
        threads: of each model; half of the cores by default, since a build may go on beside.
    """

    def __init__(self, most: int = 3, threads: int | None = None) -> None:
        self._most, self._threads = most, threads or max(1, thread_count() // 2)
        self._entries: dict[Path, _Entry] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @contextmanager
    def using(self, folder: Path) -> Iterator[Model]:
        """The model of a folder, loaded at its first use; it stays open within the block. Raises as `local_model.load` does."""
        with self._lock:
            entry = self._entries.pop(folder, None) or _Entry()
            self._entries[folder] = entry  # the last one is the most recently used
            entry.users += 1
        try:
            with entry.loading:
                if entry.model is None:
                    entry.model = load(folder, self._threads)
            self._close_excess()
            yield entry.model
        finally:
            with self._lock:
                entry.users -= 1
                if entry.model is None and not entry.users and self._entries.get(folder) is entry:
                    del self._entries[folder]  # it could not be loaded
            self._close_excess()

    def close(self) -> None:
        """Close all models that no request is using."""
        self._close_excess(0)

    def _close_excess(self, most: int | None = None) -> None:
        keep = self._most if most is None else most
        with self._lock:
            idle = [folder for folder, entry in self._entries.items() if not entry.users]
            closed = [self._entries.pop(folder) for folder in idle[: max(0, len(self._entries) - keep)]]
        for entry in closed:
            if entry.model is not None:
                entry.model.close()
