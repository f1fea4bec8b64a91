"""What the house rules read: the source files, and Python in a process of its own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def modules() -> dict[Path, ast.Module]:
    """Every source file of the package, parsed."""
    files = sorted((ROOT / "src" / "smidgen").rglob("*.py"))
    found = {file: ast.parse(file.read_text(encoding="utf-8"), str(file)) for file in files}
    assert len(found) > 60, "the house has lost most of its files, or this looks in the wrong place"
    return found


Fresh = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def fresh() -> Fresh:
    """Runs Python in a new process: `fresh("-c", code)`; `source` is put before the installed package."""

    def run(*arguments: str, source: Path | None = None, cwd: Path | None = None, ok: bool = True) -> subprocess.CompletedProcess[str]:
        env = dict(os.environ, PYTHONUTF8="1", COLUMNS="200", NO_COLOR="1", TERM="dumb")
        if source is not None:
            env["PYTHONPATH"] = str(source)
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, encoding="utf-8", env=env, cwd=cwd, timeout=300, check=False
        )
        assert not ok or done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run
