"""What the house rules read: the source files, and Python in a process of its own."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from tests.conftest import QUICK_BUILDS
from tools.reference.tables import trees

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def modules() -> dict[Path, ast.Module]:
    """Every source file of the package, parsed."""
    found = {ROOT / "src" / "smidgen" / path: tree for path, tree in trees()}
    assert len(found) > 60, "the house has lost most of its files, or this looks in the wrong place"
    return found


@pytest.fixture(scope="session")
def nodes(modules: dict[Path, ast.Module]) -> dict[Path, list[ast.AST]]:
    """All nodes of each of them, from the outside in."""
    return {file: list(ast.walk(tree)) for file, tree in modules.items()}


Fresh = Callable[..., subprocess.CompletedProcess[str]]
_PLAIN = {"PYTHONUTF8": "1", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


@pytest.fixture(scope="session")
def fresh() -> Fresh:
    """Runs Python in a new process: `fresh("-c", code)`."""

    def run(*arguments: str, cwd: Path | None = None, ok: bool = True) -> subprocess.CompletedProcess[str]:
        command, env = [sys.executable, *arguments], {**os.environ, **_PLAIN}
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env, cwd=cwd, timeout=300, check=False)
        assert not ok or done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def copy_source(folder: Path) -> Path:
    """A copy of the source to drop files into, with what Python has compiled of it."""
    shutil.copytree(ROOT / "src", folder / "src")
    return folder / "src"


_LOOP = """
import contextlib, importlib, io, json, os, sys, traceback
from smidgen.cli.main import code

for module, name, value in json.loads(sys.argv[1]):
    setattr(importlib.import_module(module), name, value)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    order, ended, out, errors = json.loads(line), 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            if order["script"]:
                exec(order["script"], {"__name__": "__main__"})
            else:
                ended = code(order["arguments"])
        except BaseException:
            ended = 1
            traceback.print_exc()
    print(json.dumps([ended, out.getvalue(), errors.getvalue()]), file=answers, flush=True)
"""


class Shell:
    """One process of Python with another source, which runs one command of smidgen after the other: it imports what they need once.

    Args:
        source: goes before the installed package.
        folder: where it works.
        environment: over that of the tests.
    """

    def __init__(self, source: Path, folder: Path, environment: dict[str, str]) -> None:
        env = {**os.environ, **_PLAIN, "PYTHONPATH": str(source), **environment}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        self._process = subprocess.Popen([sys.executable, "-c", _LOOP, json.dumps(QUICK_BUILDS)], cwd=folder, env=env, **pipes)

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._process:
            self._process.kill()

    def run(self, *arguments: str, script: str = "", ok: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `smidgen` with these arguments, or a script, which must end with the exit code `ok`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"arguments": arguments, "script": script}) + "\n")
        self._process.stdin.flush()
        ended, out, errors = json.loads(self._process.stdout.readline())
        assert ended == ok, f"{arguments}: exit {ended}\n{out}\n{errors}"
        return subprocess.CompletedProcess(arguments, ended, out, errors)
