"""Results of build steps, stored under the hash of their inputs: a killed build continues where it stopped.

A step writes into a folder. While it works the folder is named `<hash>.part` and keeps the step's files (an epoch's checkpoint), so that
the next try finds them. When the step is done the folder is renamed to `<hash>`, in one move: a folder without `.part` is complete.

A step that is repeated gets a folder of its own, `<hash>.<moment>`, because another build may be reading the earlier one. From then on the
newest is found; `prune` removes the others.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from smidgen.core.errors import SmidgenError
from smidgen.store.files import content_hash

_LIMIT_BYTES = 4_000_000_000
_LATELY_SECONDS = 86_400.0
_PART, _GOING = ".part", ".going"


class StepBusy(SmidgenError):
    """Another process is at work on the same step."""


class StepResults:
    """Step results in a folder.

    Args:
        root: the folder.
        fresh: repeat every step once, even if a result is stored.
    """

    def __init__(self, root: Path, fresh: bool = False) -> None:
        self._root = root
        self._fresh = fresh
        self._made: dict[str, Path] = {}
        root.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, inputs: Any, work: Callable[[Path], None]) -> Path:
        """The folder with the result of `work(folder)` for these JSON-ready inputs: the stored one, or a new one.

        Raises:
            StepBusy: another process is at work on this very step.
        """
        key = f"{name}-{content_hash(inputs)[:24]}"
        done = self._made.get(key) or (None if self._fresh else self._newest(key))
        if done is not None and done.is_dir():
            with contextlib.suppress(FileNotFoundError):  # another build has just removed it
                os.utime(done)
                self._made[key] = done
                return done
        done = self._root / (f"{key}.{time.time_ns()}" if self._fresh else key)
        part = done.with_name(f"{done.name}{_PART}")
        try:
            with self._lock(done.name):
                part.mkdir(exist_ok=True)
                work(part)
                part.replace(done)
        except filelock.Timeout:
            raise StepBusy(
                "another process is at work on the same build", value=name, todo="Wait for it to end, or stop it, then run again."
            ) from None
        self._made[key] = done
        return done

    def _newest(self, key: str) -> Path:
        """The folder of a step's newest result; that of its first, if there is none."""
        repeated = [folder for folder in self._root.glob(f"{key}.*") if folder.suffix[1:].isdecimal()]
        return max(repeated, key=lambda folder: int(folder.suffix[1:]), default=self._root / key)

    def prune(self, limit: int = _LIMIT_BYTES) -> None:
        """Remove the least recently used results until the rest takes at most `limit` bytes. Results that another process works on stay,
        and those used within a day, because another build may be reading them."""
        for left in self._root.glob(f"*{_GOING}"):  # left by a killed process
            shutil.rmtree(left, ignore_errors=True)
        used = {folder: moment for folder in self._root.iterdir() if (moment := _used(folder)) is not None}
        kept = 0
        for folder in sorted(used, key=lambda folder: used[folder], reverse=True):
            kept += _size(folder)
            if kept > limit and folder not in self._made.values():
                self._remove(folder)

    def _remove(self, folder: Path) -> None:
        """Remove a result, unless it is in use. It is renamed first, because a folder under its name is complete."""
        with contextlib.suppress(filelock.Timeout), self._lock(folder.name.removesuffix(_PART)):
            moment = _used(folder)
            if moment is None or time.time() - moment < _LATELY_SECONDS:
                return
            going = folder.with_name(f"{folder.name}{_GOING}")
            with contextlib.suppress(OSError):  # a folder that cannot be removed stays
                folder.replace(going)
            shutil.rmtree(going, ignore_errors=True)

    def _lock(self, key: str) -> filelock.BaseFileLock:
        """The lock for working on a step. The system holds it for the process, so a killed one leaves none behind."""
        return filelock.FileLock(self._root / f"{key}.lock", timeout=0)


def _used(folder: Path) -> float | None:
    """When a result was last used; None if it is gone, or is not a result."""
    with contextlib.suppress(FileNotFoundError):
        if folder.is_dir():
            return folder.stat().st_mtime
    return None


def _size(folder: Path) -> int:
    """Bytes of the existing files in a folder."""
    total = 0
    with contextlib.suppress(FileNotFoundError):
        for file in folder.rglob("*"):
            total += file.stat().st_size if file.is_file() else 0
    return total
