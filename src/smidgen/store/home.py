"""Where smidgen keeps what it fetches and what it has half done: `SMIDGEN_HOME`, else the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder, made if it is not there."""
    given = os.environ.get("SMIDGEN_HOME")
    folder = Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("smidgen", appauthor=False))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
