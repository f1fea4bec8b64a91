"""What takes long to make is made once a run, and shared by all processes of pytest-xdist."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of this run with what `make` puts into the empty folder that it is given. Whoever alters it must copy it first."""
    # Each process of pytest-xdist has its own folder in that of the run.
    root = factory.getbasetemp()
    done = (root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root) / "made-once" / name
    done.parent.mkdir(exist_ok=True)
    with filelock.FileLock(f"{done}.lock", timeout=1800):
        if not done.is_dir():
            part = done.with_suffix(".part")
            part.mkdir()
            make(part)
            part.rename(done)
    return done
