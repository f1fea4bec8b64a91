"""Writing a file that is at every moment the old one or the new one, never a half, and is on the disk when the call returns."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Put `content` in the place of `file`, with these permissions. Raises OSError where it cannot be written; the old one is kept."""
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
    """Write the folder's entry to the disk, too: a power cut undoes a rename that is only in memory. Systems that cannot need not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
