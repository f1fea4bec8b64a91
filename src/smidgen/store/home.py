"""The folder for fetched and unfinished files: `SMIDGEN_HOME`, else the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from smidgen.core.errors import MachineError


def home() -> Path:
    """The folder, created if missing. Raises MachineError, which is an OSError, if it cannot be created."""
    given = os.environ.get("SMIDGEN_HOME")
    folder = Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("smidgen", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        told = MachineError.told_by(error)
        todo = "Set SMIDGEN_HOME to a folder that can be written to."
        raise MachineError(f"smidgen's home cannot be made: {told.what}", value=str(folder), todo=todo, errno=error.errno) from error
    return folder
