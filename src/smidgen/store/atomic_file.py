"""Write a file atomically: readers see the old one or the new one, and it is on the disk when the call returns."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace `file` by `content`, with these permissions. Raises OSError if it cannot be written; then the old one stays."""
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
