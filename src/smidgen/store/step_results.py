"""Results of build steps, stored under the hash of their inputs: a killed build continues where it stopped.

A step writes into a folder. While it works the folder is named `<hash>.part` and keeps the step's files (an epoch's checkpoint), so that
the next try finds them. When the step is done the folder is renamed to `<hash>`, in one move: a folder without `.part` is complete.

A step that is repeated gets a folder of its own, `<hash>.<moment>`, because another build may be reading the earlier one. From then on the
newest is found; `prune` removes the others.

Large files of equal content are hard links of one file in `weights/`, so that the weights of a frozen base are stored once for all results.

A spare result is one that is needed no more once the build has succeeded, such as a model in a form that was not chosen. It is removed
then, and made again where a later build asks for its files.

A build holds a lease: a lock file, and beside it the names of the results that it uses. While it runs, they are not removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import filelock

from smidgen.core.errors import MachineError, SmidgenError
from smidgen.store.files import content_hash, file_hash, home

LIMIT_BYTES = 10_000_000_000
"""Most bytes of all step results."""
_SHARE = 0.25
"""Most of what they and the free space of the disk take together."""
_SHARED_FROM = 1_000_000
"""Smallest file whose content is stored once."""
_PART, _GOING, _LEASE, _NAMES = ".part", ".going", ".lease", ".used"
_WEIGHTS = "weights"
_GATE_SECONDS = 60.0


class StepBusy(SmidgenError):
    """Another process is at work on the same step."""


class StepResults:
    """Step results in a folder.

    Args:
        root: the folder.
        fresh: repeat every step once, even if a result is stored.
        beside: further folders of step results that count towards the limit.
    """

    def __init__(self, root: Path, fresh: bool = False, beside: Iterable[Path] = ()) -> None:
        self._root = root
        self._fresh = fresh
        self._beside = tuple(place for place in beside if place != root)
        self._made: dict[str, Path] = {}
        self._spare: set[str] = set()
        self._lease: filelock.BaseFileLock | None = None
        self._names: Path | None = None
        root.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, inputs: Any, work: Callable[[Path], None], spare: bool = False) -> Path:
        """The folder with the result of `work(folder)` for these JSON-ready inputs: the stored one, or a new one.

        `spare`: it may go when the build has succeeded.

        On a full disk, results that no build uses are removed, and the step is tried once more.

        Raises:
            StepBusy: another process is at work on this very step.
            MachineError: the disk is full, and nothing could be removed. What the step has written stays, for the next try.
        """
        key = f"{name}-{content_hash(inputs)[:24]}"
        if spare:
            self._spare.add(key)
        done = self._made.get(key) or (None if self._fresh else self._newest(key))
        if done is not None and self._claim(done):
            self._made[key] = done
            return done
        done = self._root / (f"{key}.{time.time_ns()}" if self._fresh else key)
        part = done.with_name(f"{done.name}{_PART}")
        self._claim(part)
        self._claim(done)
        try:
            with _lock(self._root, done.name):
                part.mkdir(exist_ok=True)
                self._with_room(lambda: work(part))
                self._share_files(part)
                part.replace(done)
        except filelock.Timeout:
            raise StepBusy("store.another_process_runs_same_build", value=name) from None
        self._made[key] = done
        return done

    def prune(self, limit: int | None = None) -> int:
        """Remove the least recently used results until the rest takes at most `limit` bytes; returns the freed bytes. Results of running
        builds stay."""
        return prune([self._root, *self._beside], limit)

    def make_room(self, needed: int) -> None:
        """Remove results until the limit is kept and `needed` bytes of the disk are free.

        Raises:
            MachineError: the disk has not as much space, even without the results that no build uses.
        """
        self.prune()
        free = shutil.disk_usage(self._root).free
        if free < needed:
            self.prune(max(0, size_of([self._root, *self._beside]) - (needed - free)))
            free = shutil.disk_usage(self._root).free
        if free < needed:
            raise _full(self._root, needed - free)

    def close(self, kept: Path | None = None) -> None:
        """End the lease: from now on the results may be removed.

        After a successful build, `kept` is the spare result that stays. The others go now, unless another build uses them.
        """
        if self._lease is not None and self._names is not None:
            self._names.unlink(missing_ok=True)
            self._lease.release()
            Path(self._lease.lock_file).unlink(missing_ok=True)
            self._lease = self._names = None
        for key in self._spare if kept is not None else ():
            if (folder := self._made.get(key)) is not None and folder != kept:
                _remove(folder)
        self._spare.clear()

    def _newest(self, key: str) -> Path:
        """The folder of a step's newest result; that of its first, if there is none."""
        repeated = [folder for folder in self._root.glob(f"{key}.*") if folder.suffix[1:].isdecimal()]
        return max(repeated, key=lambda folder: int(folder.suffix[1:]), default=self._root / key)

    def _claim(self, folder: Path) -> bool:
        """Put a result under this build's lease. Returns whether it exists."""
        with _gate(self._root):
            if self._lease is None or self._names is None:
                own = self._root / uuid.uuid4().hex
                self._lease, self._names = filelock.FileLock(own.with_suffix(_LEASE), timeout=0), own.with_suffix(_NAMES)
                self._lease.acquire()
            with self._names.open("a", encoding="utf-8") as stream:
                stream.write(f"{folder.name}\n")
            with contextlib.suppress(FileNotFoundError):
                if folder.is_dir():
                    os.utime(folder)
                    return True
            return False

    def _with_room(self, work: Callable[[], None]) -> None:
        """Do the work; on a full disk remove results, and try once more."""
        from safetensors import SafetensorError

        for last in (False, True):
            try:
                return work()
            except (OSError, RuntimeError, SafetensorError) as error:
                if not _is_full(error):
                    raise
                if last or not self.prune(0):
                    raise _full(self._root) from error

    def _share_files(self, folder: Path) -> None:
        """Replace large files by links to the stored file of the same content. Where the system has no links, they stay as they are."""
        store = self._root / _WEIGHTS
        for file in folder.rglob("*"):
            if file.is_symlink() or not file.is_file() or file.stat().st_size < _SHARED_FROM:
                continue
            place, link = store / file_hash(file), file.with_name(f"{file.name}.link")
            link.unlink(missing_ok=True)
            store.mkdir(exist_ok=True)
            with contextlib.suppress(OSError):
                if place.exists() and file_hash(place) == place.name:
                    os.link(place, link)
                    link.replace(file)
                elif not place.exists():
                    os.link(file, place)


def prune(roots: Iterable[Path], limit: int | None = None) -> int:
    """Remove the least recently used results in these folders until the rest takes at most `limit` bytes; returns the freed bytes.

    Args:
        roots: folders of step results.
        limit: without one, `limit_of` these folders.
    """
    there = [root for root in roots if root.is_dir()]
    before = size_of(there)
    limit = limit_of(there) if limit is None else limit
    used: dict[Path, float] = {}
    for root in there:
        for left in root.glob(f"*{_GOING}"):  # left by a killed process
            shutil.rmtree(left, ignore_errors=True)
        used |= {folder: moment for folder in root.iterdir() if folder.name != _WEIGHTS and (moment := _used(folder)) is not None}
    seen: set[tuple[int, int]] = set()
    kept = 0
    for folder in sorted(used, key=lambda folder: used[folder], reverse=True):
        kept += _size(folder, seen)
        if kept > limit:
            _remove(folder)
    for root in there:
        for file in (root / _WEIGHTS).glob("*"):
            with contextlib.suppress(OSError):
                if file.stat().st_nlink == 1:
                    file.unlink()
    return max(0, before - size_of(there))


def step_folders() -> list[Path]:
    """All folders of step results under smidgen's home: those of the commands, and those of the Studio's runs and projects."""
    studio = home() / "studio"
    return [home() / "steps", *studio.glob("runs/*/scratch/steps"), *studio.glob("projects/*/.build/steps")]


def limit_of(roots: Iterable[Path]) -> int:
    """Most bytes that these folders may take: `LIMIT_BYTES`, or a quarter of what they and the free space take, whichever is less."""
    there = [root for root in roots if root.is_dir()]
    return min(LIMIT_BYTES, int(_SHARE * (size_of(there) + shutil.disk_usage(there[0]).free))) if there else LIMIT_BYTES


def size_of(roots: Iterable[Path]) -> int:
    """The bytes that folders take, a file with several links once."""
    seen: set[tuple[int, int]] = set()
    return sum(_size(root, seen) for root in roots)


def _remove(folder: Path) -> None:
    """Remove a result, unless it is in use. It is renamed first, because a folder under its name is complete."""
    going = folder.with_name(f"{folder.name}{_GOING}")
    with contextlib.suppress(filelock.Timeout, OSError), _lock(folder.parent, folder.name.removesuffix(_PART)), _gate(folder.parent):
        if folder.name in _leased(folder.parent):
            return
        folder.replace(going)
        (folder.parent / f"{folder.name.removesuffix(_PART)}.lock").unlink(missing_ok=True)
    shutil.rmtree(going, ignore_errors=True)


def _leased(root: Path) -> set[str]:
    """The names of the results that running builds use. Leases of killed builds are removed."""
    found: set[str] = set()
    for names in root.glob(f"*{_NAMES}"):
        lease = names.with_suffix(_LEASE)
        try:
            with filelock.FileLock(lease, timeout=0):
                names.unlink(missing_ok=True)
            lease.unlink(missing_ok=True)
        except filelock.Timeout:
            with contextlib.suppress(FileNotFoundError):
                found |= set(names.read_text(encoding="utf-8").split("\n"))
    return found


def _lock(root: Path, key: str) -> filelock.BaseFileLock:
    """The lock for working on a step. The system holds it for the process, so a killed one leaves none behind."""
    return filelock.FileLock(root / f"{key}.lock", timeout=0)


@contextlib.contextmanager
def _gate(root: Path) -> Iterator[None]:
    """The lock for taking a result into use, or out of it; held for a moment."""
    with filelock.FileLock(root / "leases.lock", timeout=_GATE_SECONDS):
        yield


def _is_full(error: BaseException) -> bool:
    """Whether a failure comes from a full disk, also in the words of a library."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)


def _full(root: Path, missing: int | None = None) -> MachineError:
    """The error for a disk without enough space."""
    free = shutil.disk_usage(root).free / 1e9
    value = f"{free:.1f} GB free at {root}" + (f", {missing / 1e9:.1f} GB more needed" if missing else "")
    return MachineError(
        "store.disk_lacks_space" if missing else "store.disk_has_too_little_space",
        value=value,
        needed=f"{max(0.1, missing / 1000000000.0):.1f}" if missing else None,
        errno=errno.ENOSPC,
    )


def _used(folder: Path) -> float | None:
    """When a result was last used; None if it is gone, or is not a result."""
    with contextlib.suppress(FileNotFoundError):
        if folder.is_dir():
            return folder.stat().st_mtime
    return None


def _size(folder: Path, seen: set[tuple[int, int]]) -> int:
    """Bytes of the files in a folder that were not yet `seen`."""
    total = 0
    with contextlib.suppress(FileNotFoundError):
        for file in folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                found = file.stat()
                if file.is_file() and (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    total += found.st_size
    return total
