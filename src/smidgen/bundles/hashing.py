"""The files of a folder: what is hashed, and what may not be there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from smidgen.core.errors import BundleError

MAX_FILES = 1000
"""A folder with more files is not a bundle."""


def files_below(folder: Path) -> list[str]:
    """Names of all files in a folder and below, relative, with `/`, sorted.

    Raises:
        BundleError: there is a link, something that is neither file nor folder, or more than `MAX_FILES` files.
    """
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[str]:
    seen = 0
    pending = [(folder, "")]
    while pending:
        place, prefix = pending.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                name = prefix + entry.name
                seen += 1
                if seen > MAX_FILES:
                    raise BundleError("there are too many files", value=f"over {MAX_FILES}", todo="A bundle is a small folder.", file=name)
                if entry.is_symlink() or (hasattr(entry, "is_junction") and entry.is_junction()):
                    raise BundleError("there is a link in the folder", value=name, todo="Put the file itself in its place.", file=name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append((Path(entry.path), name + "/"))
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    raise BundleError("there is something that is no file", value=name, todo="Remove it.", file=name)
