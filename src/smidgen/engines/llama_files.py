"""The files that a model's process loads: whether they are still those that the first one loaded.

A bundle is verified when it is opened, and the process reads its files once more whenever it is started again. What was put in their place
meanwhile was verified by nobody, and is not what a certificate speaks of.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from smidgen.core.errors import EngineError

_Facts = tuple[int, ...]


class Files:
    """Weights and adapters, by their paths; what the system says of each as it was at the first look."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._first: dict[str, _Facts] | None = None

    def check(self) -> None:
        """The first time remember them. Later raise EngineError where one is another file, or was written to."""
        found = {path: _facts(path) for path in self._paths}
        if self._first is None:
            self._first = found
        for path in self._paths:
            if found[path] != self._first[path]:
                todo = "Restart the server: it opens what is there now."
                raise EngineError("the bundle's files were changed since it was opened", value=path, todo=todo)


def _facts(path: str) -> _Facts:
    """Which file it is, its size, and when it was written; nothing where it cannot be looked at."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
