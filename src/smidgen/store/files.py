"""smidgen's files: the home for fetched files and stored results, atomic writes, hashes, and the list of bundles that were met.

The home is `SMIDGEN_HOME`, else the user's cache folder. The list has the folders of bundles only, so that a bundle stays a plain folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from smidgen.core.errors import MachineError

_CHUNK = 1 << 20
_MOST_LISTED = 500
_LOCK_SECONDS = 10


def home() -> Path:
    """The folder, created if missing. Raises MachineError, which is an OSError, if it cannot be created."""
    given = os.environ.get("SMIDGEN_HOME")
    folder = Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("smidgen", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        plain = MachineError.told_by(error)
        raise MachineError("store.smidgen_home_cannot_be_made", value=str(folder), cause=plain.what, errno=error.errno) from error
    return folder


def write(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace `file` by `content`, with these permissions. Readers see the old one or the new one, and it is on the disk when the call
    returns. Raises OSError if it cannot be written; then the old one stays."""
    handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(part).chmod(mode)
        Path(part).replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            Path(part).unlink()
        raise
    _settle(file.parent)


def _settle(folder: Path) -> None:
    """Flush the folder too: a power cut undoes a rename that is only in memory. Systems where this fails do it by themselves."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def file_hash(file: Path) -> str:
    """SHA-256 of a file, hex; reads it in pieces."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def content_hash(value: Any) -> str:
    """SHA-256 of a JSON-ready value, hex; the order of keys does not matter."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def rows_hash(rows: Iterable[tuple[Any, Any]]) -> str:
    """SHA-256 of (input, output) pairs in their order, hex; holds one row at a time."""
    digest = hashlib.sha256()
    for given, wanted in rows:
        digest.update(json.dumps([given, wanted], ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
        digest.update(b"\n")
    return digest.hexdigest()


@functools.cache
def code_hash() -> str:
    """SHA-256 over smidgen's own source, hex: changed code does not use an older step's stored result."""
    top = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(top.rglob("*.py")):
        digest.update(file.relative_to(top).as_posix().encode("utf-8"))
        digest.update(file.read_bytes())
    return digest.hexdigest()


def remember_bundle(folder: Path) -> None:
    """Put a bundle's folder first on the list. The caller has checked that it is a bundle."""
    wanted = str(folder.expanduser().resolve())
    file = _bundle_list()
    with filelock.FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
        listed = [wanted, *(place for place in _listed(file) if place != wanted)][:_MOST_LISTED]
        write(file, json.dumps(listed, ensure_ascii=False, indent=1).encode("utf-8"), 0o600)


def known_bundles() -> list[Path]:
    """The folders on the list that still exist, the last remembered first."""
    return [Path(place) for place in _listed(_bundle_list()) if Path(place).is_dir()]


def _bundle_list() -> Path:
    return home() / "shelf.json"


def _listed(file: Path) -> list[str]:
    """The stored list. A damaged list counts as empty: use rebuilds it, and no bundle is lost."""
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [place for place in listed if isinstance(place, str)] if isinstance(listed, list) else []
