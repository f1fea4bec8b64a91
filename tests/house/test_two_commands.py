"""The README's two commands are the ones that are run: `make demo` and `make test`."""

from __future__ import annotations

import os
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

BLOCK = re.compile(r"```(?:sh|bash|console)\n(.*?)```", re.DOTALL)


def commands(root: Path) -> list[str]:
    """The lines of the README's first shell block, without comments."""
    block = BLOCK.search((root / "README.md").read_text(encoding="utf-8"))
    assert block is not None
    return [line.partition("#")[0].strip() for line in block.group(1).splitlines() if line.partition("#")[0].strip()]


def test_the_readme_names_exactly_two(root: Path) -> None:
    assert commands(root) == ["make demo", "make test"]


def test_both_are_targets_of_the_makefile(root: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    names = [command.removeprefix("make ") for command in commands(root)]
    assert len(names) == 2
    assert set(names) <= set(targets)


def test_ci_runs_make_test_and_nothing_else(root: Path) -> None:
    file = root / ".ci" / "run"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith(("#", "set ", "cd "))]
    assert lines == ["make test"]
    assert os.name == "nt" or os.access(file, os.X_OK)


def test_every_folder_of_tests_is_looked_into(root: Path, pytestconfig: pytest.Config) -> None:
    """By default pytest passes over folders of some names, `build` among them."""
    skipped = pytestconfig.getini("norecursedirs")
    folders = {file.parent.relative_to(root) for file in (root / "tests").rglob("test_*.py")}
    assert len(folders) > 20 and Path("tests/flows/build") in folders
    assert [folder for folder in folders for name in folder.parts if any(fnmatch(name, pattern) for pattern in skipped)] == []


CHECKS = ("-e '.[train,test,docs]'", "ruff check", "ruff format --check", "mypy", "lint-imports", "mkdocs build --strict", "pytest")


@pytest.mark.skipif(os.name == "nt", reason="make is not part of Windows")
@pytest.mark.parametrize(("target", "chosen"), [("test", ' -m "not thorough"'), ("test-all", "")])
def test_make_leaves_no_check_out(root: Path, target: str, chosen: str) -> None:
    """What make would run, as make itself says it."""
    # Itself run by `make test`, it must not pass that make's flags on: a make within a make says more than the commands.
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--dry-run", "--always-make", target]
    plan = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, check=True).stdout
    for step in CHECKS:
        assert step in plan, step
    assert plan.count("lint-imports") == 1
    assert plan.rstrip().endswith(f"-m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0{chosen}"), (
        "the tests come last, so that their result is what one sees"
    )
