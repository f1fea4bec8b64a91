"""A file of API keys' hashes, read again whenever it changes: keys are made and revoked while the server runs.

Each line has the SHA-256 of a key, in hex, and a name. A line `*` means that no key is needed. A file that is missing, or that others may
change, admits nobody.
"""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

_MOST_BYTES = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64})(\s.*)?")
OPEN = "*"


class KeyFile:
    """The keys in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._hashes: tuple[bytes, ...] = ()
        self._open = False

    def hashes(self) -> tuple[bytes, ...] | None:
        """The keys' hashes as they stand in the file now; None where no key is needed."""
        try:
            found = self._file.stat()
        except OSError:
            self._seen, self._hashes, self._open = None, (), False
            return ()
        mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        if mark != self._seen:
            self._read(found.st_mode)
            self._seen = mark
        return None if self._open else self._hashes

    def _read(self, mode: int) -> None:
        self._hashes, self._open = (), False
        if sys.platform != "win32" and mode & (stat.S_IWGRP | stat.S_IWOTH):
            return
        try:
            with self._file.open("rb") as stream:
                lines = stream.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            return
        self._open = any(line.strip() == OPEN for line in lines)
        matches = [_LINE.fullmatch(line.strip()) for line in lines]
        self._hashes = tuple(bytes.fromhex(match[1]) for match in matches if match is not None)
