"""Step results, stored under the hash of their inputs: a build that was killed goes on where it stopped.

A step writes into a folder. While it works the folder is named `<hash>.part` and keeps whatever the step leaves there (an epoch's
checkpoint), so that the next try finds it. When the step is done the folder is renamed to `<hash>`, in one move: a folder without
`.part` is complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from smidgen.core.errors import SmidgenError
from smidgen.store.hashing import content_hash

_LIMIT_BYTES = 4_000_000_000


class StepBusy(SmidgenError):
    """Another process is at work on the same step."""


class Steps:
    """A shelf of step results in a folder.

    Args:
        root: the folder.
        fresh: do every step anew, once, even where a result is stored.
    """

    def __init__(self, root: Path, fresh: bool = False) -> None:
        self._root = root
        self._fresh = fresh
        self._made: set[str] = set()
        root.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, inputs: Any, work: Callable[[Path], None]) -> Path:
        """The folder with the result of `work(folder)` for these JSON-ready inputs: the stored one, or a new one.

        Raises:
            StepBusy: another process is at work on this very step.
        """
        key = f"{name}-{content_hash(inputs)[:24]}"
        done, part = self._root / key, self._root / f"{key}.part"
        if self._fresh and key not in self._made:
            shutil.rmtree(done, ignore_errors=True)
            shutil.rmtree(part, ignore_errors=True)
        self._made.add(key)
        if done.is_dir():
            os.utime(done)
            return done
        # The system holds the lock for the process, so one that is killed leaves none behind.
        lock = filelock.FileLock(self._root / f"{key}.lock", timeout=0)
        try:
            with lock:
                part.mkdir(exist_ok=True)
                work(part)
                part.replace(done)
        except filelock.Timeout:
            raise StepBusy(
                "another process is at work on the same build", value=name, todo="Wait for it to end, or stop it, then run again."
            ) from None
        return done

    def prune(self, limit: int = _LIMIT_BYTES) -> None:
        """Remove the results that were used longest ago until the rest takes at most `limit` bytes."""
        folders = sorted((f for f in self._root.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime, reverse=True)
        kept = 0
        for folder in folders:
            kept += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            if kept > limit and folder.name not in self._made:
                shutil.rmtree(folder, ignore_errors=True)
