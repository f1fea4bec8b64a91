"""The list of bundles that were built or opened on this machine: their folders only, so that a bundle stays a plain folder."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import filelock

from smidgen.store.home import home

_MOST = 500
_LOCK_SECONDS = 10


def remember(folder: Path) -> None:
    """Put a bundle's folder first on the list. The caller has checked that it is a bundle."""
    wanted = str(folder.expanduser().resolve())
    file = _file()
    with filelock.FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
        listed = [wanted, *(place for place in _read(file) if place != wanted)][:_MOST]
        handle, part = tempfile.mkstemp(dir=file.parent, prefix="shelf-", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            json.dump(listed, stream, ensure_ascii=False, indent=1)
        Path(part).replace(file)


def known() -> list[Path]:
    """The folders on the list that still exist, the last remembered first."""
    return [Path(place) for place in _read(_file()) if Path(place).is_dir()]


def _file() -> Path:
    return home() / "shelf.json"


def _read(file: Path) -> list[str]:
    """The stored list. A damaged list counts as empty: use rebuilds it, and no bundle is lost."""
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [place for place in listed if isinstance(place, str)] if isinstance(listed, list) else []
